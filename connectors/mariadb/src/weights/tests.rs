//! Weights of a real server's collations, beside the server.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use crossweave_contract::{Contraction, LevelWeights, LikeRule, Source as _};
use tokio::time::timeout;

use super::*;
use crate::connection::Pool;
use crate::testing::proxy::{Fault, Proxy};
use crate::testing::server;
use crate::{MariaDbSource, SourceOptions};

async fn loaded(charset: &str, name: &str) -> CollationWeights {
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    load(&mut session, &Collation::new(charset, name)).await.unwrap()
}

/// Each pair of texts compares by its keys as the server compares it.
async fn agrees(charset: &str, name: &str, texts: &[&str]) {
    let weights = loaded(charset, name).await;
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    let convert = format!("CONVERT(? USING {charset}) COLLATE {name}");
    let statement = format!("SELECT {convert} = {convert}, {convert} < {convert}");
    for a in texts {
        for b in texts {
            let (equal, less): (bool, bool) =
                session.rows("a test", &statement, (a, b, a, b)).await.unwrap()[0];
            let ours = weights.compare(a, b);
            assert_eq!(ours == Ordering::Equal, equal, "{name}: {a:?} = {b:?}");
            assert_eq!(ours == Ordering::Less, less, "{name}: {a:?} < {b:?}");
        }
    }
}

#[tokio::test]
async fn the_common_collations_compare_as_on_the_server() {
    let texts = [
        "", " ", "a", "A", "a ", "ä", "Á", "æ", "ae", "b", "ß", "ss", "s", "ñ", "n", "Я", "я", "日本", "日",
        "😀", "😁", "e\u{301}", "é", "I", "İ", "ı", "i", "Å", "\u{212B}", "10", "9", "_", "-",
    ];
    for name in
        ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci", "utf8mb4_unicode_nopad_ci"]
    {
        agrees("utf8mb4", name, &texts).await;
    }
    agrees(
        "utf8mb3",
        "utf8mb3_general_ci",
        &texts[..28].iter().filter(|t| t.chars().all(|c| c as u32 <= 0xFFFF)).copied().collect::<Vec<_>>(),
    )
    .await;
}

#[tokio::test]
async fn a_single_byte_character_set_has_weights_by_code_point() {
    for name in ["latin1_general_ci", "latin1_swedish_ci"] {
        let texts = ["a", "A", "ä", "Ä", "å", "y", "ü", "ö", "o", "ß", "s", "z", "€", "", "é", "É"];
        agrees("latin1", name, &texts).await;
        let weights = loaded("latin1", name).await;
        assert!(weights.compare("日", "?").is_ne());
        assert!(weights.compare("ā", "a").is_ne());
    }
}

#[tokio::test]
async fn a_binary_collation_of_one_byte_orders_by_its_codes() {
    let latin = ["", " ", "a", "A", "a ", "b", "ä", "Ä", "ß", "ss", "é", "€", "ÿ", "~", "\u{a0}", "œ"];
    // In Unicode the Cyrillic letters come in another order, and after each other's marks.
    let cyrillic = ["", " ", "a", "A", "a ", "б", "Б", "б ", "ё", "Ё", "я", "Я", "№", "є", "«", "—"];
    for name in ["latin1_bin", "latin1_nopad_bin"] {
        agrees("latin1", name, &latin).await;
    }
    for (charset, name) in [("cp1251", "cp1251_bin"), ("cp1251", "cp1251_nopad_bin")] {
        agrees(charset, name, &cyrillic).await;
    }
    agrees("koi8r", "koi8r_bin", &["", "a", "A", "б", "Б", "ё", "Ё", "я", "Я", "ю", "а"]).await;
    let weights = loaded("latin1", "latin1_bin").await;
    assert!(weights.compare("日", "?").is_ne());
}

#[tokio::test]
async fn what_is_no_name_is_refused() {
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    for name in ["utf8mb4_general_ci; DROP TABLE x", "utf8mb4_bin", "utf8mb4_klingon_ci"] {
        let error = load(&mut session, &Collation::new("utf8mb4", name)).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn languages_compare_as_on_the_server() {
    let words = "c C ch CH cH Ch cz h hz d dz dž ď l ll LL lz lj nj m a aa AA å Å ä ae z zs zzs s ss sz ssz ß y i á Á cs \
                 ccs ddzs เก กเ แก ເກ ї й и\u{306}";
    let texts: Vec<&str> = ["", " ", "c h", "a ", "á "].into_iter().chain(words.split_whitespace()).collect();
    for name in [
        "utf8mb4_czech_ci",
        "utf8mb4_spanish2_ci",
        "utf8mb4_danish_ci",
        "utf8mb4_croatian_ci",
        "utf8mb4_lithuanian_ci",
        "utf8mb4_uca1400_ai_ci",
        "utf8mb4_uca1400_hungarian_as_cs",
        "utf8mb4_uca1400_danish_nopad_ai_cs",
        "utf8mb4_uca1400_czech_as_ci",
        "utf8mb4_thai_520_w2",
    ] {
        agrees("utf8mb4", name, &texts).await;
    }
}

#[tokio::test]
async fn contractions_are_found() {
    let found = |weights: &CollationWeights| {
        let text = |contraction: &Contraction| contraction.characters.iter().collect::<String>();
        weights.contractions().iter().map(text).filter(|text| text.is_ascii()).collect::<BTreeSet<_>>()
    };
    let czech = loaded("utf8mb4", "utf8mb4_czech_ci").await;
    assert_eq!(found(&czech), ["CH", "Ch", "ch"].map(str::to_owned).into());
    assert_eq!((czech.levels().len(), czech.contractions().len()), (1, 3));
    let spanish = loaded("utf8mb4", "utf8mb4_uca1400_spanish2_as_cs").await;
    assert_eq!(found(&spanish), ["CH", "Ch", "LL", "Ll", "ch", "ll"].map(str::to_owned).into());
    // Those of Unicode's own table.
    assert_eq!((spanish.levels().len(), spanish.contractions().len()), (3, 939 + 6));
    assert_eq!(loaded("utf8mb4", "utf8mb4_uca1400_ai_cs").await.levels().len(), 2);
    assert!(loaded("utf8mb4", "utf8mb4_unicode_520_ci").await.contractions().is_empty());
}

/// Far more texts than at each start, for collations that have the most to go wrong.
#[tokio::test]
async fn many_texts_compare_as_on_the_server() {
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    for (charset, name) in [
        ("utf8mb4", "utf8mb4_uca1400_as_cs"),
        ("utf8mb4", "utf8mb4_uca1400_hungarian_nopad_as_cs"),
        ("utf8mb4", "utf8mb4_uca1400_vietnamese_ai_cs"),
        ("utf8mb4", "utf8mb4_myanmar_ci"),
        ("utf8mb4", "utf8mb4_thai_520_w2"),
        ("utf8mb3", "utf8mb3_croatian_ci"),
        ("ucs2", "ucs2_danish_ci"),
        ("utf16", "utf16_uca1400_slovak_as_ci"),
        ("latin1", "latin1_german2_ci"),
        ("gbk", "gbk_chinese_ci"),
        ("ujis", "ujis_japanese_ci"),
        ("cp932", "cp932_japanese_ci"),
    ] {
        let collation = Collation::new(charset, name);
        let weights = load(&mut session, &collation).await.unwrap();
        let mut asked = Asked::new(&mut session, &collation).await.unwrap();
        sample::verify(&mut asked, &weights, 7, 20_000).await.unwrap();
        assert_eq!(sample::like_differs(&mut asked, &weights, 7, 20_000).await.unwrap(), None, "{name}");
    }
}

/// Under `…_ai_cs`: all characters of one weight in pairs of neighbours and of any two, and characters of other weights that
/// differ in case alone.
#[tokio::test]
async fn like_minds_no_accents_where_equality_does_not_but_for_some_letters() {
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    for (name, apart) in [
        ("utf8mb4_uca1400_ai_cs", None),
        ("utf8mb4_uca1400_danish_ai_cs", Some(('ä', 'æ'))),
        ("utf8mb4_uca1400_swedish_nopad_ai_cs", Some(('ä', 'æ'))),
        ("utf8mb4_uca1400_vietnamese_ai_cs", Some(('â', 'ấ'))),
        ("utf8mb4_uca1400_hungarian_ai_cs", None),
        ("utf8mb3_uca1400_czech_ai_cs", None),
    ] {
        let collation = Collation::new(name.split('_').next().unwrap(), name);
        let weights = load(&mut session, &collation).await.unwrap();
        assert_ne!(weights.like(), LikeRule::Unknown, "{name}");
        assert!(weights.same_character('é', 'è') && !weights.same_character('é', 'É'), "{name}");
        if let Some((one, other)) = apart {
            assert!(!weights.same_character(one, other) && weights.same_character(one, one), "{name}");
        }
        let mut pairs = Vec::new();
        for mut group in weights.alike() {
            group.retain(|c| !matches!(c, '%' | '_' | '\\'));
            let upper = |c: &char| [*c, c.to_uppercase().next().unwrap_or(*c)];
            pairs.extend(group.iter().map(upper));
            pairs.extend(group.windows(2).map(|pair| [pair[0], pair[1]]));
            let half = group.len().div_ceil(2);
            pairs.extend(group.iter().zip(&group[half..]).map(|(one, other)| [*one, *other]));
        }
        pairs.retain(|pair| pair.iter().all(|c| weights.has(*c)));
        assert!(pairs.len() > 5_000, "{name}: {}", pairs.len());
        let texts: Vec<[String; 2]> = pairs.iter().map(|pair| pair.map(String::from)).collect();
        let mut asked = Asked::new(&mut session, &collation).await.unwrap();
        let found = asked.compare(["A LIKE B", "B LIKE A"], &texts).await.unwrap();
        for ([one, other], found) in pairs.into_iter().zip(found) {
            let same = weights.same_character(one, other);
            assert_eq!(found, [same, same], "{name}: {one:?} LIKE {other:?}");
        }
    }
}

/// The collations of character sets that are not Unicode's: which are refused. Of MariaDB 10.11's 1242 collations (by
/// `COLLATION_CHARACTER_SET_APPLICABILITY`) all 1091 of `utf8mb3`, `utf8mb4`, `ucs2`, `utf16`, `utf16le` and `utf32`
/// are compared.
#[tokio::test]
async fn each_collation_of_another_character_set_is_compared_or_refused() {
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    let all: Vec<(String, String)> = session
        .rows(
            "a test",
            "SELECT CHARACTER_SET_NAME, FULL_COLLATION_NAME \
             FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY \
             WHERE CHARACTER_SET_NAME NOT LIKE 'utf%' AND CHARACTER_SET_NAME <> 'ucs2' ORDER BY 2",
            (),
        )
        .await
        .unwrap();
    assert!(all.len() > 130, "{}", all.len());
    let mut refused = Vec::new();
    for (charset, name) in all {
        let collation = Collation::new(charset, name);
        if !collation.is_weighted() {
            continue;
        }
        if let Err(error) = load(&mut session, &collation).await {
            assert!(error.to_string().contains(&collation.name), "{error}");
            refused.push(collation.name);
        }
    }
    // Those with an order of their own in the server's code; and `big5`, where `=` is another than the order.
    let expected = [
        "big5_chinese_ci",
        "big5_chinese_nopad_ci",
        "cp1250_czech_cs",
        "latin2_czech_cs",
        "tis620_thai_ci",
        "tis620_thai_nopad_ci",
    ];
    assert_eq!(refused, expected);
}

async fn verify(asked: &mut Asked<'_>, weights: &CollationWeights) -> Result<()> {
    sample::verify(asked, weights, sample::SEED, sample::PAIRS).await
}

/// The weights of a collation, with the units of each level changed.
fn changed(weights: &CollationWeights, change: impl Fn(usize, char, &mut Vec<u32>)) -> CollationWeights {
    let level = |(at, level): (usize, &LevelWeights)| {
        LevelWeights::of_characters(0x11_0000, |character| {
            let mut units = level.weight(character);
            change(at, character, &mut units);
            units
        })
    };
    let levels = weights.levels().iter().enumerate().map(level).collect();
    let mut changed = CollationWeights::new(weights.collation().clone(), weights.width(), levels);
    weights.contractions().iter().for_each(|contraction| changed.contract(contraction.clone()));
    changed
}

#[tokio::test]
async fn wrong_weights_do_not_pass() {
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    let collation = Collation::new("utf8mb4", "utf8mb4_uca1400_czech_as_cs");
    let weights = load(&mut session, &collation).await.unwrap();
    let mut asked = Asked::new(&mut session, &collation).await.unwrap();
    verify(&mut asked, &changed(&weights, |_, _, _| ())).await.unwrap();
    for wrong in 0..3 {
        let weights = changed(&weights, |level, character, units| {
            if (level, character) == (wrong, 'e') {
                units[0] += 1;
            }
        });
        let error = verify(&mut asked, &weights).await.unwrap_err();
        assert!(error.to_string().contains("another weight"), "{error}");
    }
    let without = CollationWeights::new(collation.clone(), weights.width(), weights.levels().to_vec());
    let error = verify(&mut asked, &without).await.unwrap_err();
    assert!(error.to_string().contains("another weight"), "{error}");
}

#[tokio::test]
async fn a_server_that_stalls_within_the_weights_is_not_waited_for() {
    let proxy = Proxy::to(server().port).await;
    let source = MariaDbSource::new(SourceOptions { port: proxy.port, ..server().root() });
    let collation = Collation::new("utf8mb4", "utf8mb4_general_ci");
    proxy.arm("SELECT WEIGHT_STRING", Fault::SilentAt(0), 1);
    let told = timeout(Duration::from_secs(10), source.weights(&collation)).await.expect("in time");
    let error = told.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.message.contains("reading the weights of utf8mb4_general_ci had no answer"), "{error}");
    assert_eq!(proxy.disarm().0, 1);
    source.weights(&collation).await.unwrap();
}
