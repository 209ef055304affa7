"""What an analyst's Python does, with default settings: psycopg asks, SQLAlchemy lists and reflects.

Prints one JSON object, which the test compares with what it expects.
"""

import json
import sys

import psycopg
import sqlalchemy


def with_psycopg(port):
    with psycopg.connect(f"host=127.0.0.1 port={port} user=analyst dbname=crossweave") as connection:
        one = connection.execute(
            "SELECT id, displayName, balance, createdAt FROM users.users WHERE id = %s", (7,)
        ).fetchone()
        # The sixth execution of one text is a statement that the server keeps.
        counts = [
            connection.execute("SELECT count(*) FROM orders.orders WHERE user_id < %s", (n,)).fetchone()[0]
            for n in range(1, 8)
        ]
        binary = connection.cursor(binary=True)
        binary.execute("SELECT id, displayName, balance, createdAt FROM users.users WHERE id = %s", (7,))
        same = binary.fetchone() == one
    return {"types": [type(value).__name__ for value in one], "counts": counts, "binary_is_the_same": same}


def with_sqlalchemy(port):
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://analyst@127.0.0.1:{port}/crossweave")
    inspector = sqlalchemy.inspect(engine)
    columns = inspector.get_columns("order_items", schema="orders")
    metadata = sqlalchemy.MetaData()
    users = sqlalchemy.Table("users", metadata, schema="users", autoload_with=engine)
    schema = sqlalchemy.MetaData()
    schema.reflect(engine, schema="orders")
    links = {str(key.target_fullname) for key in schema.tables["orders.order_items"].foreign_keys}
    query = sqlalchemy.select(sqlalchemy.func.count()).select_from(users).where(users.c.id <= 10)
    with engine.connect() as connection:
        counted = connection.execute(query).scalar()
    return {
        "schemas": inspector.get_schema_names(),
        "tables": sorted(inspector.get_table_names(schema="orders")),
        "columns": [[column["name"], str(column["type"]), column["nullable"]] for column in columns],
        "reflected": {"tables": sorted(schema.tables), "links": sorted(links)},
        "unique": inspector.get_unique_constraints("order_items", schema="orders"),
        "key": inspector.get_pk_constraint("order_items", schema="orders")["constrained_columns"],
        "foreign_keys": inspector.get_foreign_keys("order_items", schema="orders"),
        "indexes": inspector.get_indexes("order_items", schema="orders"),
        "counted": counted,
    }


port = sys.argv[1]
print(json.dumps({"psycopg": with_psycopg(port), "sqlalchemy": with_sqlalchemy(port)}, default=str))
