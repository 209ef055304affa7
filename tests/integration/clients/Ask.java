import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;

/** What a tool on JDBC does, with pgjdbc's default settings. Prints a line for each thing that it learns. */
public class Ask {
    public static void main(String[] args) throws Exception {
        try (Connection connection =
                DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + args[0] + "/crossweave", "analyst", "")) {
            DatabaseMetaData meta = connection.getMetaData();
            print("catalogs", meta.getCatalogs(), "TABLE_CAT");
            print("schemas", meta.getSchemas(), "TABLE_SCHEM");
            print("tables", meta.getTables(null, "orders", "%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE");
            print("columns", meta.getColumns(null, "users", "addresses", "%"), "COLUMN_NAME", "TYPE_NAME", "NULLABLE");
            print("key", meta.getPrimaryKeys(null, "orders", "order_items"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME");
            print("imported", meta.getImportedKeys(null, "orders", "order_items"), "FKTABLE_NAME", "FKCOLUMN_NAME",
                    "PKTABLE_NAME", "PKCOLUMN_NAME", "KEY_SEQ", "FK_NAME", "PK_NAME", "DELETE_RULE");
            print("exported", meta.getExportedKeys(null, "users", "users"), "FKTABLE_NAME", "FKCOLUMN_NAME");
            print("index", meta.getIndexInfo(null, "orders", "order_items", true, false), "INDEX_NAME", "NON_UNIQUE",
                    "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC");
            print("row identifier", meta.getBestRowIdentifier(null, "users", "users", 2, true), "COLUMN_NAME");
            types(meta);
            prepared(connection);
            cursor(connection);
            cancelled(connection);
        }
    }

    private static void types(DatabaseMetaData meta) throws SQLException {
        boolean bigint = false;
        int count = 0;
        try (ResultSet rows = meta.getTypeInfo()) {
            while (rows.next()) {
                count++;
                bigint |= rows.getString("TYPE_NAME").equals("int8");
            }
        }
        System.out.println("types: " + (bigint && count > 100));
    }

    /** From the fifth execution on, the driver keeps the statement on the server and asks for binary values. */
    private static void prepared(Connection connection) throws SQLException {
        String sql = "SELECT id, displayName, balance, createdAt FROM users.users WHERE id = ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            String first = null;
            for (int i = 0; i < 8; i++) {
                statement.setLong(1, 7);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    String row = rows.getBigDecimal(1) + ", " + rows.getString(2) + ", " + rows.getBigDecimal(3) + ", "
                            + rows.getTimestamp(4).toLocalDateTime();
                    if (first == null) {
                        first = row;
                    } else if (!first.equals(row)) {
                        throw new AssertionError("text: " + first + ", binary: " + row);
                    }
                }
            }
            ResultSetMetaData meta = statement.getMetaData();
            StringBuilder types = new StringBuilder();
            for (int i = 1; i <= meta.getColumnCount(); i++) {
                types.append(i == 1 ? "" : ", ").append(meta.getColumnTypeName(i));
            }
            System.out.println("prepared: " + types);
        }
    }

    /** Outside of autocommit, with a fetch size, the driver fetches rows by and by through a portal. */
    private static void cursor(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        int count = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            try (ResultSet rows = statement.executeQuery("SELECT id FROM users.users WHERE id <= 50")) {
                while (rows.next()) {
                    count++;
                }
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        System.out.println("fetched by sevens: " + count);
    }

    private static void cancelled(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread later = new Thread(() -> {
                try {
                    Thread.sleep(500);
                    statement.cancel();
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            });
            later.setDaemon(true);
            later.start();
            statement.executeQuery(
                    "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b");
            throw new AssertionError("the query came to its end");
        } catch (SQLException e) {
            System.out.println("cancelled: " + e.getSQLState());
        }
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("SELECT 1")) {
            rows.next();
            System.out.println("after that: " + rows.getInt(1));
        }
    }

    private static void print(String what, ResultSet rows, String... columns) throws SQLException {
        StringBuilder line = new StringBuilder(what + ":");
        while (rows.next()) {
            for (int i = 0; i < columns.length; i++) {
                line.append(i == 0 ? " " : "/").append(rows.getString(columns[i]));
            }
        }
        System.out.println(line);
        rows.close();
    }
}
