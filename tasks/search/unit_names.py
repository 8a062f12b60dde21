"""What units and signs are called, in the languages that have a table here."""

from __future__ import annotations

from functools import cache

from tasks.search.query import Variant

Meaning = tuple[tuple[str, Variant], ...]  # the ways to say one thing, each with the code of its language

# Of each unit its signs, then how it is said: what means the same is between commas, what means something else behind `;`,
# in the same place in all languages.
UNITS = {
    "en": """
        mm: millimeters, millimetres, millimeter, millimetre
        cm: centimeters, centimetres, centimeter, centimetre
        m: meters, metres, meter, metre; million; minutes
        km: kilometers, kilometres, kilometer, kilometre
        m2 sqm: square meters, square metres
        in inch: inches, inch
        ft: feet, foot
        yd yds: yards, yard
        mi: miles, mile
        mg: milligrams, milligram
        g: grams, gram
        kg kgs: kilograms, kilogram, kilos, kilo, kilogrammes
        t: tons, tonnes, ton, tonne
        lb lbs: pounds, pound
        oz: ounces, ounce
        ml: milliliters, millilitres, milliliter, millilitre
        l: liters, litres, liter, litre
        gal: gallons, gallon
        ms: milliseconds, millisecond
        s sec secs: seconds, second
        min mins: minutes, minute
        h hr hrs: hours, hour
        d: days, day
        wk wks: weeks, week
        yr yrs: years, year
        am: a m, in the morning
        pm: p m, in the afternoon, in the evening
        mph: miles per hour, miles an hour
        km/h kmh kph: kilometers per hour, kilometres per hour, kilometers an hour, kilometres an hour
        m/s: meters per second, metres per second, meters a second, metres a second
        fps: frames per second, frames a second
        rpm: revolutions per minute, revolutions a minute
        kb: kilobytes, kilobyte
        mb: megabytes, megabyte
        gb: gigabytes, gigabyte
        tb: terabytes, terabyte
        hz: hertz
        khz: kilohertz
        mhz: megahertz
        ghz: gigahertz
        v: volts, volt
        w: watts, watt
        kw: kilowatts, kilowatt
        mw: megawatts, megawatt
        kwh: kilowatt hours, kilowatt hour
        c °c: degrees celsius, degrees centigrade, celsius, degrees
        f °f: degrees fahrenheit, fahrenheit, degrees
        °: degrees, degree
        k: thousand; kilometers, kilometres
        mn mln: million
        bn b: billion
        tn: trillion
        x: times
        % pct: percent, per cent
        $ usd: dollars, dollar
        € eur: euros, euro
        £ gbp: pounds, pound
        ¥ jpy: yen""",
    "de": """
        mm: millimeter
        cm: zentimeter
        m: meter; millionen
        km: kilometer
        m2 qm: quadratmeter
        mg: milligramm
        g: gramm
        kg: kilogramm, kilo
        t: tonnen, tonne
        ml: milliliter
        l: liter
        s sek: sekunden, sekunde
        min: minuten, minute
        h std: stunden, stunde; uhr
        km/h kmh: kilometer pro stunde, stundenkilometer, kilometer in der stunde
        mb: megabyte
        gb: gigabyte
        kw: kilowatt
        kwh: kilowattstunden, kilowattstunde
        c °c °: grad celsius, grad
        tsd: tausend
        mio: millionen, million
        mrd: milliarden, milliarde
        %: prozent
        $ usd: dollar
        € eur: euro
        £ gbp: pfund""",
    "fr": """
        mm: millimetres, millimetre
        cm: centimetres, centimetre
        m: metres, metre; millions
        km: kilometres, kilometre
        m2: metres carres
        mg: milligrammes, milligramme
        g: grammes, gramme
        kg: kilogrammes, kilogramme, kilos, kilo
        t: tonnes, tonne
        ml: millilitres, millilitre
        l: litres, litre
        s: secondes, seconde
        min: minutes, minute
        h: heures, heure
        km/h kmh: kilometres heure, kilometres a l'heure, kilometres par heure
        c °c °: degres celsius, degres, degre
        md mds: milliards, milliard
        %: pour cent, pourcent
        $ usd: dollars, dollar
        € eur: euros, euro
        £ gbp: livres, livre""",
    "es": """
        mm: milimetros, milimetro
        cm: centimetros, centimetro
        m: metros, metro; millones
        km: kilometros, kilometro
        m2: metros cuadrados
        mg: miligramos, miligramo
        g: gramos, gramo
        kg: kilogramos, kilogramo, kilos, kilo
        t: toneladas, tonelada
        ml: mililitros, mililitro
        l: litros, litro
        s: segundos, segundo
        min: minutos, minuto
        h: horas, hora
        km/h kmh: kilometros por hora
        c °c °: grados celsius, grados centigrados, grados
        %: por ciento
        $ usd: dolares, dolar
        € eur: euros, euro
        £ gbp: libras, libra""",
}
MONEY = ("$", "€", "£", "¥")
SIGNS = (*MONEY, "%", "°")
ORDINALS = {"en": "st nd rd th", "fr": "er ere e eme", "es": "o a", "nl": "e de ste", "it": "o a", "pt": "o a"}
# A sign between two words without a space, as it is said.
BETWEEN = {
    "en": {"&": ["and"], "+": ["plus"], "@": ["at"], ".": ["dot", "point"], "/": ["slash"]},
    "de": {"&": ["und"], "+": ["plus"], "@": ["at"], ".": ["punkt"]},
    "fr": {"&": ["et"], "+": ["plus"], "@": ["arobase"], ".": ["point"]},
    "es": {"&": ["y"], "+": ["mas"], "@": ["arroba"], ".": ["punto"]},
}


@cache
def signs_of(codes: tuple[str, ...]) -> dict[str, list[Meaning]]:
    """The meanings of every sign; of a meaning, the ways to say it in these languages."""
    found: dict[str, list[Meaning]] = {}
    for code in codes:
        for line in UNITS.get(code, "").split("\n"):
            signs, _, meanings = line.partition(":")
            for number, meaning in enumerate(meanings.split(";")):
                said = tuple((code, tuple(name.split())) for name in meaning.split(","))
                for sign in signs.split():
                    known = found.setdefault(sign, [])
                    known[number : number + 1] = [(*(known[number] if number < len(known) else ()), *said)]
    return found


@cache
def names_of(codes: tuple[str, ...]) -> dict[Variant, list[tuple[str, Meaning]]]:
    """Of everything that a unit is called, signs too: a sign, and the ways to say it."""
    found: dict[Variant, list[tuple[str, Meaning]]] = {}
    for sign, meanings in signs_of(codes).items():
        for meaning in meanings:
            for name in dict.fromkeys([*(name for _, name in meaning), (sign,)]):
                found.setdefault(name, []).append((sign, meaning))
    return found
