//! LIKE under a collation that passes over a level.
//!
//! `…_ai_cs` takes `é` and `è` for equal, and so does LIKE; but for letters that a language has put beside each other by their
//! accents alone (`ä` and `æ` in Danish), which it tells apart by what no weight shows. So all characters of one weight are
//! asked about: each, whether LIKE takes it for the first of them; of which it does not, among themselves.

use crossweave_contract::{CollationWeights, Result};

use super::ask::Asked;

/// What means something in patterns.
const WILDCARDS: [char; 3] = ['%', '_', '\\'];

/// Finds the characters that LIKE tells apart though they weigh the same.
pub(super) async fn tell_apart(asked: &mut Asked<'_>, weights: &mut CollationWeights) -> Result<()> {
    let mut groups = weights.alike();
    groups.iter_mut().for_each(|group| group.retain(|character| !WILDCARDS.contains(character)));
    for number in 1.. {
        groups.retain(|group| group.len() > 1);
        if groups.is_empty() {
            break;
        }
        let with_first = |group: &Vec<char>| {
            let first = group[0].to_string();
            group[1..].iter().map(move |other| [first.clone(), other.to_string()]).collect::<Vec<_>>()
        };
        let pairs: Vec<[String; 2]> = groups.iter().flat_map(with_first).collect();
        let mut found = asked.compare(["A LIKE B", "B LIKE A"], &pairs).await?.into_iter();
        for group in &mut groups {
            let others = group[1..].iter().zip(found.by_ref());
            *group = others.filter(|(_, same)| *same != [true, true]).map(|(other, _)| *other).collect();
            group.iter().for_each(|character| weights.tell_apart(*character, number));
        }
    }
    Ok(())
}
