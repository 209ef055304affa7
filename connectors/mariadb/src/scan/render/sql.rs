//! Pieces of a statement.

use mysql_async::Value;

/// A piece of a statement's text, with what is bound to its placeholders, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sql {
    /// The text; never holds anything of a literal.
    pub(super) text: String,
    /// What is bound.
    pub(super) params: Vec<Value>,
}

impl Sql {
    /// Text without parameters.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), params: Vec::new() }
    }

    /// Appends text.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a piece.
    pub(super) fn add(&mut self, piece: &Self) {
        self.text.push_str(&piece.text);
        self.params.extend_from_slice(&piece.params);
    }

    /// Appends `pieces` with `between` in between.
    pub(super) fn add_all(&mut self, pieces: &[Self], between: &str) {
        for (place, piece) in pieces.iter().enumerate() {
            if place > 0 {
                self.push(between);
            }
            self.add(piece);
        }
    }

    /// Appends `value` for the placeholder that ends the text.
    pub(super) fn bind(&mut self, placeholder: &str, value: Value) {
        self.text.push_str(placeholder);
        self.params.push(value);
    }

    /// `before` it `after`.
    pub(super) fn around(before: &str, piece: &Self, after: &str) -> Self {
        let mut around = Self::text(before);
        around.add(piece);
        around.push(after);
        around
    }
}
