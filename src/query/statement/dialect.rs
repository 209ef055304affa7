//! PostgreSQL's dialect, but for names of arguments that are expressions (`json_object('a': 1)`), which nothing here takes: for
//! them the parser would read each argument of a call twice, so that every further call within one doubled what that takes.

use std::any::TypeId;

use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

#[derive(Debug)]
pub(super) struct Served;

macro_rules! as_in_postgresql {
    ($(fn $name:ident($($arg:ident: $of:ty),*) -> $gives:ty;)*) => {
        $(fn $name(&self, $($arg: $of),*) -> $gives {
            PostgreSqlDialect {}.$name($($arg),*)
        })*
    };
}

impl Dialect for Served {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    // All that PostgreSQL's has of its own in sqlparser 0.62.
    as_in_postgresql! {
        fn identifier_quote_style(identifier: &str) -> Option<char>;
        fn is_delimited_identifier_start(ch: char) -> bool;
        fn is_identifier_start(ch: char) -> bool;
        fn is_identifier_part(ch: char) -> bool;
        fn supports_unicode_string_literal() -> bool;
        fn is_reserved_for_identifier(kw: Keyword) -> bool;
        fn is_custom_operator_part(ch: char) -> bool;
        fn get_next_precedence(parser: &Parser) -> Option<Result<u8, ParserError>>;
        fn supports_filter_during_aggregation() -> bool;
        fn supports_group_by_expr() -> bool;
        fn prec_value(prec: Precedence) -> u8;
        fn allow_extract_custom() -> bool;
        fn allow_extract_single_quotes() -> bool;
        fn supports_create_index_with_clause() -> bool;
        fn supports_explain_with_utility_options() -> bool;
        fn supports_listen_notify() -> bool;
        fn supports_factorial_operator() -> bool;
        fn supports_bitwise_shift_operators() -> bool;
        fn supports_comment_on() -> bool;
        fn supports_load_extension() -> bool;
        fn supports_named_fn_args_with_colon_operator() -> bool;
        fn supports_empty_projections() -> bool;
        fn supports_nested_comments() -> bool;
        fn supports_string_escape_constant() -> bool;
        fn supports_numeric_literal_underscores() -> bool;
        fn supports_array_typedef_with_brackets() -> bool;
        fn supports_geometric_types() -> bool;
        fn supports_set_names() -> bool;
        fn supports_alter_column_type_using() -> bool;
        fn supports_notnull_operator() -> bool;
        fn supports_interval_options() -> bool;
        fn supports_insert_table_alias() -> bool;
        fn supports_create_table_like_parenthesized() -> bool;
        fn supports_select_wildcard_with_alias() -> bool;
        fn supports_comma_separated_trim() -> bool;
        fn supports_xml_expressions() -> bool;
        fn supports_comment_optimizer_hint() -> bool;
    }
}
