"""The cities that the geocoding sandbox knows: real names, coordinates, countries and (rounded) populations."""

from __future__ import annotations

from dataclasses import dataclass

#: Standard time of each zone as seconds from UTC. No daylight saving: the sandbox needs no time zone database.
ZONE_OFFSETS = {
    "GMT": 0,
    "UTC": 0,
    **{
        zone: int(hours * 3600)
        for hours, zones in {
            -8: "America/Los_Angeles America/Vancouver",
            -7: "America/Denver",
            -6: "America/Chicago America/Mexico_City",
            -5: "America/New_York America/Toronto America/Bogota America/Lima",
            -4: "America/Santiago",
            -3: "America/Argentina/Buenos_Aires America/Sao_Paulo",
            0: "Europe/London Europe/Dublin Europe/Lisbon Atlantic/Reykjavik",
            1: "Europe/Paris Europe/Berlin Europe/Madrid Europe/Rome Europe/Amsterdam Europe/Brussels Europe/Vienna "
            "Europe/Zurich Europe/Prague Europe/Warsaw Europe/Budapest Europe/Copenhagen Europe/Stockholm Europe/Oslo "
            "Africa/Lagos",
            2: "Europe/Helsinki Europe/Athens Europe/Kyiv Africa/Cairo Africa/Johannesburg Asia/Jerusalem",
            3: "Europe/Istanbul Europe/Moscow Africa/Nairobi",
            4: "Asia/Dubai",
            5.5: "Asia/Kolkata",
            7: "Asia/Bangkok Asia/Jakarta",
            8: "Asia/Shanghai Asia/Hong_Kong Asia/Singapore Asia/Taipei Asia/Manila Australia/Perth",
            9: "Asia/Tokyo Asia/Seoul",
            10: "Australia/Sydney Australia/Melbourne",
            12: "Pacific/Auckland",
        }.items()
        for zone in zones.split()
    },
}


@dataclass(frozen=True, slots=True)
class Place:
    """A city as the Open-Meteo geocoder describes one."""

    name: str
    country_code: str
    country: str
    admin1: str
    latitude: float
    longitude: float
    elevation: float  # metres
    timezone: str
    population: int


_TABLE = """\
Austin|US|United States|Texas|30.26715|-97.74306|149|America/Chicago|961855
Austin|US|United States|Minnesota|43.66663|-92.97464|367|America/Chicago|24748
New York|US|United States|New York|40.71427|-74.00597|10|America/New_York|8804190
Los Angeles|US|United States|California|34.05223|-118.24368|89|America/Los_Angeles|3898747
Chicago|US|United States|Illinois|41.85003|-87.65005|179|America/Chicago|2746388
Houston|US|United States|Texas|29.76328|-95.36327|30|America/Chicago|2304580
San Francisco|US|United States|California|37.77493|-122.41942|28|America/Los_Angeles|873965
Seattle|US|United States|Washington|47.60621|-122.33207|56|America/Los_Angeles|737015
Denver|US|United States|Colorado|39.73915|-104.9847|1609|America/Denver|715522
Boston|US|United States|Massachusetts|42.35843|-71.05977|14|America/New_York|675647
Miami|US|United States|Florida|25.77427|-80.19366|2|America/New_York|442241
Washington|US|United States|District of Columbia|38.89511|-77.03637|7|America/New_York|689545
Springfield|US|United States|Missouri|37.21533|-93.29824|396|America/Chicago|169176
Springfield|US|United States|Illinois|39.80172|-89.64371|182|America/Chicago|114394
Paris|FR|France|Île-de-France Region|48.85341|2.3488|42|Europe/Paris|2138551
Paris|US|United States|Texas|33.66094|-95.55551|183|America/Chicago|24476
Lyon|FR|France|Auvergne-Rhône-Alpes|45.74846|4.84671|173|Europe/Paris|522250
Marseille|FR|France|Provence-Alpes-Côte d'Azur|43.29695|5.38107|28|Europe/Paris|870731
London|GB|United Kingdom|England|51.50853|-0.12574|25|Europe/London|8961989
London|CA|Canada|Ontario|42.98339|-81.23304|252|America/Toronto|422324
Manchester|GB|United Kingdom|England|53.48095|-2.23743|51|Europe/London|568996
Edinburgh|GB|United Kingdom|Scotland|55.95206|-3.19648|75|Europe/London|506520
Dublin|IE|Ireland|Leinster|53.33306|-6.24889|17|Europe/Dublin|1024027
Berlin|DE|Germany|State of Berlin|52.52437|13.41053|74|Europe/Berlin|3426354
Munich|DE|Germany|Bavaria|48.13743|11.57549|524|Europe/Berlin|1260391
Hamburg|DE|Germany|Hamburg|53.55073|9.99302|10|Europe/Berlin|1845229
Madrid|ES|Spain|Madrid|40.4165|-3.70256|665|Europe/Madrid|3255944
Barcelona|ES|Spain|Catalonia|41.38879|2.15899|47|Europe/Madrid|1620343
Rome|IT|Italy|Lazio|41.89193|12.51133|52|Europe/Rome|2318895
Milan|IT|Italy|Lombardy|45.46427|9.18951|122|Europe/Rome|1371498
Lisbon|PT|Portugal|Lisbon|38.71667|-9.13333|45|Europe/Lisbon|517802
Amsterdam|NL|Netherlands|North Holland|52.37403|4.88969|13|Europe/Amsterdam|741636
Brussels|BE|Belgium|Brussels Capital|50.85045|4.34878|28|Europe/Brussels|1019022
Vienna|AT|Austria|Vienna|48.20849|16.37208|171|Europe/Vienna|1691468
Zurich|CH|Switzerland|Zurich|47.36667|8.55|429|Europe/Zurich|436551
Prague|CZ|Czechia|Prague|50.08804|14.42076|202|Europe/Prague|1397880
Warsaw|PL|Poland|Mazovia|52.22977|21.01178|113|Europe/Warsaw|1702139
Budapest|HU|Hungary|Budapest|47.49801|19.03991|104|Europe/Budapest|1741041
Copenhagen|DK|Denmark|Capital Region|55.67594|12.56553|14|Europe/Copenhagen|1153615
Stockholm|SE|Sweden|Stockholm County|59.32938|18.06871|28|Europe/Stockholm|1515017
Oslo|NO|Norway|Oslo County|59.91273|10.74609|26|Europe/Oslo|580000
Helsinki|FI|Finland|Uusimaa|60.16952|24.93545|26|Europe/Helsinki|658864
Reykjavik|IS|Iceland|Capital Region|64.13548|-21.89541|37|Atlantic/Reykjavik|139875
Athens|GR|Greece|Attica|37.98376|23.72784|42|Europe/Athens|664046
Kyiv|UA|Ukraine|Kyiv City|50.45466|30.5238|187|Europe/Kyiv|2797553
Istanbul|TR|Turkey|Istanbul|41.01384|28.94966|39|Europe/Istanbul|15701602
Moscow|RU|Russia|Moscow|55.75222|37.61556|144|Europe/Moscow|10381222
Cairo|EG|Egypt|Cairo|30.06263|31.24967|23|Africa/Cairo|9606916
Lagos|NG|Nigeria|Lagos|6.45407|3.39467|11|Africa/Lagos|15388000
Nairobi|KE|Kenya|Nairobi County|-1.28333|36.81667|1684|Africa/Nairobi|4397073
Cape Town|ZA|South Africa|Western Cape|-33.92584|18.42322|25|Africa/Johannesburg|4710000
Johannesburg|ZA|South Africa|Gauteng|-26.20227|28.04363|1767|Africa/Johannesburg|5635127
Jerusalem|IL|Israel|Jerusalem|31.76904|35.21633|786|Asia/Jerusalem|971800
Dubai|AE|United Arab Emirates|Dubai|25.07725|55.30927|24|Asia/Dubai|3790000
Mumbai|IN|India|Maharashtra|19.07283|72.88261|8|Asia/Kolkata|12691836
Delhi|IN|India|Delhi|28.65195|77.23149|227|Asia/Kolkata|11034555
Bengaluru|IN|India|Karnataka|12.97194|77.59369|920|Asia/Kolkata|8443675
Bangkok|TH|Thailand|Bangkok|13.75398|100.50144|12|Asia/Bangkok|5104476
Jakarta|ID|Indonesia|Jakarta|-6.21462|106.84513|8|Asia/Jakarta|8540121
Singapore|SG|Singapore||1.28967|103.85007|23|Asia/Singapore|5638700
Hong Kong|HK|Hong Kong||22.27832|114.17469|6|Asia/Hong_Kong|7491609
Shanghai|CN|China|Shanghai|31.22222|121.45806|12|Asia/Shanghai|24874500
Beijing|CN|China|Beijing|39.9075|116.39723|49|Asia/Shanghai|18960744
Taipei|TW|Taiwan|Taipei|25.04776|121.53185|13|Asia/Taipei|7871900
Manila|PH|Philippines|Metro Manila|14.6042|120.9822|13|Asia/Manila|1600000
Tokyo|JP|Japan|Tokyo|35.6895|139.69171|44|Asia/Tokyo|9733276
Osaka|JP|Japan|Osaka|34.69379|135.50107|24|Asia/Tokyo|2753862
Kyoto|JP|Japan|Kyoto|35.02107|135.75385|53|Asia/Tokyo|1463723
Seoul|KR|South Korea|Seoul|37.566|126.9784|38|Asia/Seoul|10349312
Sydney|AU|Australia|New South Wales|-33.86785|151.20732|58|Australia/Sydney|5557233
Melbourne|AU|Australia|Victoria|-37.814|144.96332|25|Australia/Melbourne|5350705
Perth|AU|Australia|Western Australia|-31.95224|115.8614|18|Australia/Perth|2192229
Auckland|NZ|New Zealand|Auckland|-36.84853|174.76349|26|Pacific/Auckland|1467800
Toronto|CA|Canada|Ontario|43.70643|-79.39864|175|America/Toronto|2794356
Vancouver|CA|Canada|British Columbia|49.24966|-123.11934|70|America/Vancouver|662248
Mexico City|MX|Mexico|Mexico City|19.42847|-99.12766|2240|America/Mexico_City|12294193
Bogotá|CO|Colombia|Bogota D.C.|4.60971|-74.08175|2582|America/Bogota|7674366
Lima|PE|Peru|Lima Province|-12.04318|-77.02824|154|America/Lima|7737002
Santiago|CL|Chile|Santiago Metropolitan|-33.45694|-70.64827|556|America/Santiago|4837295
Buenos Aires|AR|Argentina|Buenos Aires F.D.|-34.61315|-58.37723|31|America/Argentina/Buenos_Aires|13076300
São Paulo|BR|Brazil|São Paulo|-23.5475|-46.63611|769|America/Sao_Paulo|10021295
Rio de Janeiro|BR|Brazil|Rio de Janeiro|-22.90642|-43.18223|13|America/Sao_Paulo|6023699
"""


def _place(line: str) -> Place:
    name, code, country, admin1, latitude, longitude, elevation, timezone, population = line.split("|")
    return Place(
        name, code, country, admin1, float(latitude), float(longitude), float(elevation), timezone, int(population)
    )


PLACES = tuple(_place(line) for line in _TABLE.splitlines())


def nearest(latitude: float, longitude: float) -> Place:
    """The known city that is closest in degrees: near enough for a time zone and a height."""

    def distance(place: Place) -> float:
        around = abs(place.longitude - longitude)
        return (place.latitude - latitude) ** 2 + min(around, 360 - around) ** 2

    return min(PLACES, key=distance)
