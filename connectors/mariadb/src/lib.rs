//! The connector to MariaDB.
