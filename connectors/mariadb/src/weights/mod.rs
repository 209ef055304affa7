//! The weights of a collation, asked from the server.
//!
//! Why is an answer of these weights the server's? `WEIGHT_STRING` is what the server itself compares by. It is
//! asked for each code point there is, on each level, and for what neighbours weigh together where that is not what
//! they weigh one after the other. That nothing else is to be known of the collation is not taken on trust: random
//! texts, made to meet levels and contractions, must weigh and compare as on the server, or the collation is refused.
//!
//! - `ask`: statements over many texts at once
//! - `characters`: the weights of characters
//! - `contractions`: the weights of neighbours
//! - `like`: characters of one weight that LIKE tells apart
//! - `sample`: the judge

mod ask;
mod characters;
mod contractions;
mod like;
mod sample;
#[cfg(test)]
mod tests;

use crossweave_contract::{Collation, CollationWeights, ConnectorError, ErrorKind, Result};

use self::ask::Asked;
use crate::connection::Session;

/// Loads and verifies the weights of `collation`.
pub(crate) async fn load(session: &mut Session, collation: &Collation) -> Result<CollationWeights> {
    let names = [&collation.charset, &collation.name];
    if !names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        return Err(refused(collation, "that is no name of a collation"));
    }
    if !collation.is_weighted() {
        return Err(refused(collation, "it compares code points, and has no other weights"));
    }
    let mut asked = Asked::new(session, collation).await?;
    let mut weights = characters::load(&mut asked).await?;
    contractions::find(&mut asked, &mut weights).await?;
    if asked.passes_over_a_level() {
        like::tell_apart(&mut asked, &mut weights).await?;
    }
    sample::verify(&mut asked, &weights, sample::SEED, sample::PAIRS).await?;
    if let Some([left, right]) = sample::like_differs(&mut asked, &weights, sample::SEED, sample::PAIRS).await?
    {
        if !asked.passes_over_a_level() {
            let reason = format!("LIKE of the server does not compare {left:?} and {right:?} by their weights");
            return Err(refused(collation, &reason));
        }
        weights.doubt_like();
    }
    Ok(weights)
}

fn refused(collation: &Collation, reason: &str) -> ConnectorError {
    let message = format!("text under the collation {} is not compared here: {reason}", collation.name);
    ConnectorError::new(ErrorKind::Settings, message)
}
