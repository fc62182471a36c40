"""The vocabulary of the invented catalogue. Every name and sentence was made up for it."""

from __future__ import annotations


def _listed(text: str) -> tuple[str, ...]:
    """Return what stands between the commas."""
    return tuple(" ".join(text.split()).split(", "))


ADJECTIVES = _listed("""
    Drowsy, Gentle, Forgotten, Clumsy, Silver, Reluctant, Wandering, Paper, Midnight, Honest,
    Runaway, Clockwork, Salt-Stained, Unemployed, Polite, Crooked, Lonely, Second-Hand, Invisible,
    Barefoot, Thunderous, Borrowed, Homesick, Stubborn, Glass, Feathered, Autumn, Retired,
    Left-Handed, Radiant
""")
CREATURES = _listed("""
    Kitsune, Dragon, Tanuki, Librarian, Ghost, Swordsman, Witch, Demon King, Lighthouse Keeper,
    Alchemist, Princess, Postman, Heron, Android, Cat, Oni, Beekeeper, Saint, Slime, Vampire,
    Ferryman, Detective, Knight, Moth, Astronomer, Golem, Violinist, Locksmith, Mermaid, Fortune
    Teller
""")
PLACES = _listed("""
    Lantern Harbour, Kumori Street, the Ninth Floor, Plum Valley, Port Saffron, the Tidal Library,
    Mossgate, the Last Station, Hollow Hill, Amber Bay, Sparrow Alley, the Upside-Down Shrine,
    Cinder Lake, Yuzu Island, the Rain Quarter, Old Windmill Road, the Sleeping Tower, Northmere,
    the Paper Mountains, Tsubaki Lane
""")
SHOPS = _listed("""
    Bakery, Clock Repair Shop, Night Café, Umbrella Workshop, Bathhouse, Bookbindery, Noodle
    Stand, Telescope Atelier, Lost Property Office, Tea House, Kite Factory, Music Box Store,
    Guild Kitchen, Observatory, Second-Hand Bookshop, Post Office
""")
THINGS = _listed("""
    Marmalade, Moonlight, Thunder, Porcelain, Ink, Cinnamon, Starlight, Rust, Snowfall,
    Persimmons, Gunpowder, Lullabies, Driftwood, Fireflies, Static, Peppermint, Origami, Salt,
    Velvet, Umbrellas
""")
OBJECTS = _listed("""
    Teapot, Compass, Umbrella, Music Box, Lantern, Vending Machine, Paper Crane, Fountain Pen,
    Signpost, Kettle, Bicycle, Pocket Watch, Scarecrow, Mailbox, Rice Cooker, Telescope, Doorbell,
    Bento Box
""")
RELATIONS = _listed("""
    Neighbour, Homeroom Teacher, Landlady, Little Sister, Fiancé, Apprentice, Childhood Friend,
    Editor, Bodyguard, Grandmother, Tutor, Flatmate
""")
TIMES = _listed("""
    Midnight, Five O'Clock, A Rainy Week, One Hundred Days, The Last Summer, An Afternoon, Every
    Thursday, The Longest Winter, Daybreak, Between Trains
""")
TOPICS = _listed("""
    Surviving Festivals, Polite Exorcism, Slow Living, Talking to Dragons, Mending Broken Swords,
    Running Away Properly, Falling in Love Twice, Cooking for Monsters, Losing at Shogi, Saving
    the World on a Budget
""")
VERBS = _listed("""
    Wake Up Before Noon, Retire Yet, Apologise First, Stay Dead, Ride the Lift, Remember My Name,
    Leave the Library, Lose the Bet, Smile on Mondays, Grow Up Alone
""")
WISHES = _listed("""
    a Quiet Kitchen, Eight Hours of Sleep, a Pen Pal, to Open a Flower Shop, One Honest Friend, to
    Finish This Novel, a Seat by the Window, Better Soup
""")
GIVEN_NAMES = _listed("""
    Hinata, Sora, Mio, Ren, Akari, Touma, Yuzuki, Kaede, Nagi, Itsuki, Chihaya, Rin, Suzu, Haruto,
    Tsumugi, Kohaku, Aoi, Minato, Shiori, Riku, Fuyu, Asahi, Konoha, Yuuto, Hotaru, Kanata,
    Madoka, Tatsuya, Emi, Jun
""")
FAMILY_NAMES = _listed("""
    Hoshikawa, Tsukimori, Amagase, Kazehaya, Shirosaki, Minekura, Otonashi, Fujibayashi, Kuromiya,
    Natsukawa, Yukishiro, Asagiri, Tachibana, Hanamori, Mizusawa, Kisaragi, Wakatsuki, Shinomori,
    Aikawa, Usami, Kamishiro, Takamine, Nagumo, Izumino, Sakuraba, Tokiwa, Himuro, Orihara,
    Maizono, Seto
""")
PEN_NAMES = _listed("""
    Moss & Lantern, Studio Halfmoon, tarte-tatin, Zero Yen, Paper Umbrella, NEKOZE, Blue Kettle,
    eleven o'clock, Grandpa Octopus, shiratama, Comet Tail, mugicha
""")
# Pairs of (Japanese, romanised): subjects and settings of titles.
JAPANESE_SUBJECTS = (
    ("月夜", "Tsukiyo"),
    ("雨上がり", "Ameagari"),
    ("夕焼け", "Yuuyake"),
    ("星屑", "Hoshikuzu"),
    ("銀色", "Gin'iro"),
    ("眠り猫", "Nemurineko"),
    ("迷子", "Maigo"),
    ("魔女", "Majo"),
    ("硝子", "Garasu"),
    ("真夜中", "Mayonaka"),
    ("小春", "Koharu"),
    ("狐", "Kitsune"),
    ("風鈴", "Fuurin"),
    ("木漏れ日", "Komorebi"),
    ("雪どけ", "Yukidoke"),
    ("灯台守", "Toudaimori"),
    ("竜", "Ryuu"),
    ("約束", "Yakusoku"),
    ("金魚", "Kingyo"),
    ("歯車", "Haguruma"),
)
JAPANESE_PLACES = (
    ("図書館", "Toshokan"),
    ("喫茶店", "Kissaten"),
    ("時計塔", "Tokeitou"),
    ("庭", "Niwa"),
    ("約束", "Yakusoku"),
    ("郵便局", "Yuubinkyoku"),
    ("教室", "Kyoushitsu"),
    ("冒険", "Bouken"),
    ("食卓", "Shokutaku"),
    ("手紙", "Tegami"),
    ("旅路", "Tabiji"),
    ("王国", "Oukoku"),
    ("秘密", "Himitsu"),
    ("歌", "Uta"),
    ("停留所", "Teiryuujo"),
    ("午後", "Gogo"),
)
OPENINGS = (
    "When {name} inherits a {adjective} {thing}, life in {place} stops being quiet.",
    "{name} has exactly one talent, and nobody in {place} has any use for it.",
    "Every night a {creature} waits at the {shop} of {place}. Tonight {name} asks why.",
    "Expelled from the guild, {name} opens a {shop} in {place} and hires a {creature}.",
    "{name} only wanted {wish}. The {creature} next door has other plans.",
    "In {place}, letters arrive a hundred years late, and {name} delivers them.",
)
MIDDLES = (
    "Together with a {creature} who cannot lie, the search for {wish} begins.",
    "But the {adjective} {thing} remembers more than it should.",
    "It might even be love, if the {creature} would stop setting things on fire.",
    "The rules are simple: never be late, never look down, never feed the {creature}.",
    "Seasons pass, tea is served, and small miracles are written down in ink.",
)
CLOSINGS = (
    "A warm tale about finding your way home.",
    "A slow adventure with a very patient ending.",
    "A comedy of manners, monsters and missed trains.",
    "Winner of no prizes, beloved by three readers.",
    "For everyone who ever missed the last train on purpose.",
)
SPANISH = "Cuando {name} llega a {place}, la lluvia también empieza a contar historias."
FRENCH = "À {place}, {name} apprend que les secrets se servent toujours avec du thé."
CHAPTER_TITLES = (
    "The Door That Was Not There",
    "A Letter Without a Stamp",
    "Rain Again",
    "Two Cups of Tea",
    "What the Cat Saw",
    "Festival Night",
    "The Promise on the Roof",
    "An Uninvited Guest",
    "Homework",
    "The Longest Corridor",
    "Snow on the Platform",
    "Lost and Found",
    "The Second Sunrise",
    "A Very Small Dragon",
    "Goodbye, for Now",
    "The Recipe",
    "Beach Episode, Regrettably",
    "A Duel at Dawn",
    "The Quiet Car",
    "Aftermath",
)
GROUP_FIRST = _listed("""
    Lazy, Sunday, Midnight, Crimson, Paper, Honest, Sleepless, Tidal, Velvet, Hungry, Polite,
    Northern, Wooden, Late, Purple, Tiny, Galactic, Rustic, Amber, Second
""")
GROUP_SECOND = _listed("""
    Otter, Teapot, Lantern, Penguin, Comet, Dumpling, Sparrow, Ronin, Pigeon, Mandarin, Kettle,
    Walrus, Fern, Mackerel, Moth, Library, Tortoise, Onion, Badger, Umbrella
""")
GROUP_LAST = _listed("""
    Scans, Translations, Scanlations, Collective, Club, Fansubs
""")
USER_SECOND = _listed("""
    reader, typesets, moon, cleans, desu, _tl, proof, 99, raws, x
""")
