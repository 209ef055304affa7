//! What the executable says of configurations that cannot be, and that a right one is followed.

use serde_json::json;

use crate::support::{self, Server, Statement, TestResult, database};

/// Runs `serve` with the config, which must be refused; gives what it says, without the file's folder.
async fn refused(server: &Server) -> TestResult<String> {
    let output = support::output(server.command(&["serve"])).await?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let file = server.config_file();
    Ok(String::from_utf8(output.stderr)?.replace(&format!("{}", file.display()), "FILE"))
}

#[tokio::test]
async fn everything_that_is_wrong_with_the_file_is_told_at_once_with_its_line() -> TestResult {
    let server = support::crossweave(
        "dirr = \"x\"\n[services.users]\nurl = \"mysql://u:${NOT_SET_ANYWHERE}@127.0.0.1/d\"\nmode = \"cache\"\n\
         [listn]\n",
        vec![],
    )?;
    let said = refused(&server).await?;
    // [listen] and [state] come before, of seven lines.
    let expected = "\
error: the configuration cannot be used: 4 things are wrong with it
FILE:8: unknown setting `dirr` in `state`
  hint: did you mean `dir`?
FILE:10: `services.users.url`: the environment variable NOT_SET_ANYWHERE is not set, or is not valid text
  hint: set NOT_SET_ANYWHERE before Crossweave is started; `$${` stands for `${`
FILE:11: `services.users.mode`: expected \"live\" or \"cached\", found \"cache\"
  hint: did you mean `cached`?
FILE:12: unknown setting `listn`
  hint: did you mean `listen`?
";
    assert_eq!(said, expected);
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_named_twice_is_told() -> TestResult {
    let service = "[services.users]\nurl = \"mysql://u@127.0.0.1/d\"\n";
    let server = support::crossweave(&format!("{service}{service}"), vec![])?;
    assert!(refused(&server).await?.contains("FILE:10: `users` is declared twice"));
    Ok(())
}

#[tokio::test]
async fn tables_and_columns_that_the_databases_do_not_have_are_told_with_the_nearest() -> TestResult {
    let users = database("users").await?;
    users.execute("CREATE TABLE people (id INT PRIMARY KEY, boss INT, flag TINYINT(1), name TEXT)").await?;
    let config = users.config("live")
        + "include = [\"peple\"]\n[services.users.tables.people]\nbooleans = { flog = true }\n\
           [[relationships]]\nfrom = \"users.people.bos\"\nto = \"users.persons.id\"\nfield = \"chief\"\n\
           [[relationships]]\nfrom = \"users.people.name\"\nto = \"users.people.id\"\n";
    let config = config
        .replace("\n\ninclude", "\ninclude")
        .replace("include = [\"peple\"]", "include = [\"peple\", \"people\"]");
    let server =
        support::crossweave(&config, vec![(users.password_variable(), users.reader_password.clone())])?;
    let said = refused(&server).await?;
    for line in [
        ": service `users` has no table `peple` in its database\n  hint: did you mean `people`?",
        ": table `users.people` has no column `flog`\n  hint: did you mean `flag`?",
        ": table `users.people` has no column `bos`\n  hint: did you mean `boss`?",
        ": service `users` has no table `persons`, or it is left out\n  hint: there are people",
        ": users.people.name and users.people.id cannot be compared: one is a text, the other a number",
    ] {
        assert!(said.contains(line), "{line} is missing in\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn secrets_come_from_files_and_tables_are_left_out_as_declared() -> TestResult {
    let users = database("users").await?;
    users
        .execute(
            "CREATE TABLE kept (id INT PRIMARY KEY, flag TINYINT(1), level TINYINT(1));\
             CREATE TABLE log_1 (id INT PRIMARY KEY); INSERT INTO kept VALUES (1, 1, 1)",
        )
        .await?;
    let config = format!(
        "[services.people]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"${{DATABASE}}\"\nuser = \"crossweave\"\n\
         password_file = \"secret\"\nexclude = [\"log_*\"]\nbooleans = true\n\
         [services.people.tables.kept]\nbooleans = {{ LEVEL = false }}\n",
        users.port
    );
    let mut server = support::crossweave(&config, vec![("DATABASE".to_owned(), users.database.clone())])?;
    std::fs::write(server.config_file().with_file_name("secret"), format!("{}\n", users.reader_password))?;
    let client = server.start().await?;
    let answer = client.sql(&Statement::new("SELECT flag, level FROM people.kept")).await?;
    assert_eq!(answer.rows, [[json!(true), json!(1)]]);
    let error = client.sql(&Statement::new("SELECT * FROM people.log_1")).await.unwrap_err().to_string();
    assert!(error.contains("log_1"), "{error}");
    Ok(())
}
