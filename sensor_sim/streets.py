# SPDX-License-Identifier: EUPL-1.2
"""The districts and streets of the imaginary city of Lampenfeld."""

from __future__ import annotations

CITY = "Lampenfeld"

# Row by row from the south-west corner, three districts to a row.
DISTRICTS = (
    "Südaue",
    "Glasbrück",
    "Mühlwinkel",
    "Westhafen",
    "Altmarkt",
    "Ostgärten",
    "Nordheide",
    "Kupferhütte",
    "Sternberg",
)

STREETS = (
    "Ahornweg",
    "Am Alten Gaswerk",
    "Birkengasse",
    "Dochtweg",
    "Erlenstraße",
    "Funkenweg",
    "Gartenstraße",
    "Glühwürmchenweg",
    "Kandelabergasse",
    "Kerzenmarkt",
    "Laternenweg",
    "Lichtgasse",
    "Lindenstraße",
    "Mastenweg",
    "Mühlgasse",
    "Öllampengasse",
    "Parkstraße",
    "Schattenweg",
    "Uferstraße",
    "Zündergasse",
)

ARTERIALS = (
    "Hafenring",
    "Heidestraße",
    "Kupferallee",
    "Marktring",
    "Nordtangente",
    "Ostallee",
    "Sternallee",
    "Südtangente",
    "Talstraße",
    "Westring",
)
