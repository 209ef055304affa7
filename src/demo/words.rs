//! The words that the demo's data is made of: names in many scripts, with what text comparison has to stand.

/// Given names and family names of one script or language.
pub(super) struct Names {
    pub(super) given: &'static [&'static str],
    pub(super) family: &'static [&'static str],
    /// Whether the family name comes first, without a space.
    pub(super) joined: bool,
}

/// Names by script. Some differ only by case or accent (Zoe, Zoë, ZOË), some hold quotes and backslashes.
pub(super) const NAMES: &[Names] = &[
    Names {
        given: &["Anna", "anna", "Zoe", "Zoë", "ZOË", "Liam", "Olivia", "Noah", "Grace", "D'Arcy"],
        family: &["Miller", "O'Brien", "Smith", "smith", "Smyth", "Fitz\\Gerald", "van den Berg"],
        joined: false,
    },
    Names {
        given: &[
            "José",
            "Jose",
            "Inés",
            "Ángel",
            "François",
            "Francois",
            "Søren",
            "Łukasz",
            "Jürgen",
            "Ğülşen",
        ],
        family: &["Muñoz", "Munoz", "Groß", "Gross", "Lefèvre", "Dvořák", "Ørsted", "Żak", "Çelik", "İnan"],
        joined: false,
    },
    Names {
        given: &["Ольга", "Иван", "Наталія", "Ђорђе"],
        family: &["Иванова", "Петров", "Шевченко", "Ёлкин"],
        joined: false,
    },
    Names {
        given: &["Αλέξανδρος", "Ελένη", "Σοφία"], family: &["Παπαδόπουλος", "Οικονόμου"], joined: false
    },
    Names {
        given: &["فاطمة", "محمد", "یاسمن"], family: &["الحسن", "کریمی"], joined: false
    },
    Names { given: &["נועה", "דוד"], family: &["כהן", "לוי"], joined: false },
    Names {
        given: &["प्रिया", "अर्जुन"], family: &["शर्मा", "पटेल"], joined: false
    },
    Names {
        given: &["สมชาย", "กมล"], family: &["ใจดี", "แสงทอง"], joined: false
    },
    Names {
        given: &["伟", "芳", "秀英", "小明"], family: &["王", "李", "张", "欧阳"], joined: true
    },
    Names { given: &["さくら", "ハルト", "蓮"], family: &["佐藤", "鈴木", "髙橋"], joined: true },
    Names { given: &["민준", "서연"], family: &["김", "이", "박"], joined: true },
    Names { given: &["Robin 🦊", "Kim 👩‍💻", "Sam 🇺🇦"], family: &["Fox", "Doe"], joined: false },
];

/// Cities with their country.
pub(super) const CITIES: &[(&str, &str)] = &[
    ("Berlin", "DE"),
    ("Köln", "DE"),
    ("Paris", "FR"),
    ("São Paulo", "BR"),
    ("København", "DK"),
    ("Αθήνα", "GR"),
    ("Київ", "UA"),
    ("القاهرة", "EG"),
    ("תל אביב", "IL"),
    ("東京", "JP"),
    ("서울", "KR"),
    ("मुंबई", "IN"),
    ("กรุงเทพ", "TH"),
    ("İstanbul", "TR"),
];

/// Streets; the house number follows.
pub(super) const STREETS: &[&str] =
    &["Main Street", "Hauptstraße", "Rue de l'Église", "Ulica Długa", "Calle Mayor", "大通り", "Ленина"];

/// Categories: number, name and the number of the parent.
pub(super) const CATEGORIES: &[(u16, &str, Option<u16>)] = &[
    (1, "Books", None),
    (2, "Music", None),
    (3, "Home & Garden", None),
    (4, "Café & Kitchen", Some(3)),
    (5, "Garden tools", Some(3)),
    (6, "Toys", None),
    (7, "Games", Some(6)),
    (8, "Electronics", None),
    (9, "Cameras", Some(8)),
    (10, "Computers", Some(8)),
    (11, "Sport", None),
    (12, "Bücher für Kinder", Some(1)),
    (13, "Nothing yet", None),
];

/// What kind of thing an item is.
pub(super) const ADJECTIVES: &[&str] =
    &["Small", "Large", "Old", "Bright", "Quiet", "Blue", "Grüne", "Élégant", "Лёгкий", "古い", "100%"];

/// What an item is.
pub(super) const THINGS: &[&str] = &[
    "Lamp",
    "lamp",
    "Teapot",
    "Camera",
    "Bicycle",
    "Guitar",
    "Würfel",
    "Café set",
    "Книга",
    "茶碗",
    "Robot 🤖",
];

/// Warehouses, the second part of the key of `stock`.
pub(super) const WAREHOUSES: &[&str] = &["North", "South", "Łódź"];

/// Coupons. Two differ by case alone, which their binary collation tells apart.
pub(super) const COUPONS: &[&str] = &["WELCOME", "welcome", "SPRING-24", "50%"];

/// Notes on orders, an empty one among them.
pub(super) const NOTES: &[&str] =
    &["", "Leave it at the door", "Bitte klingeln", "Gift: \"for Zoë\"", "c:\\drop\\here", "二階へ", "🎁"];
