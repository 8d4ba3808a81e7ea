//! QIDO-RS: which studies, series and instances there are.

use super::{
    Address, base_url, json,
    json::{number, texts},
    note_exams, note_look,
};
use crate::{
    http::{Fault, Web, Who},
    imaging::Header,
    store::{
        instance::InstanceRow,
        instance_index::{self as index, Filter, Group},
    },
};
use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value as Json};

/// Rows of an answer where nobody says how many, and at most.
const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 1_000;
/// Longest value that is asked for, in characters.
const VALUE_LEN_MAX: usize = 200;

/// Attributes that can be asked for, by keyword and by tag.
const KEYS: &[(&str, &str)] = &[
    ("StudyInstanceUID", "0020000D"),
    ("SeriesInstanceUID", "0020000E"),
    ("SOPInstanceUID", "00080018"),
    ("SOPClassUID", "00080016"),
    ("PatientID", "00100020"),
    ("PatientName", "00100010"),
    ("AccessionNumber", "00080050"),
    ("Modality", "00080060"),
    ("ModalitiesInStudy", "00080061"),
    ("StudyDate", "00080020"),
];

/// What a query asks for, and which part of the answer.
struct Ask {
    filter: Filter,
    page: (i64, i64),
}

fn parse(address: &Address, query: &str) -> Result<Ask, Fault> {
    let mut ask = Ask { filter: address.filter(), page: (LIMIT_DEFAULT, 0) };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.chars().count() > VALUE_LEN_MAX || value.contains('\0') {
            let message = format!("`{key}` is longer than {VALUE_LEN_MAX} characters.");
            return Err(Fault::bad_request(message));
        }
        let number = || {
            let number = value.parse::<i64>().ok().filter(|number| *number >= 0);
            number.ok_or_else(|| Fault::bad_request(format!("`{key}` is not a number.")))
        };
        match &*key {
            "limit" => ask.page.0 = number()?.min(LIMIT_MAX),
            "offset" => ask.page.1 = number()?,
            "includefield" | "fuzzymatching" | "_" => {}
            key => take(&mut ask.filter, key, value.trim())?,
        }
    }
    Ok(ask)
}

fn take(filter: &mut Filter, key: &str, value: &str) -> Result<(), Fault> {
    let known = KEYS.iter().find(|(keyword, tag)| *keyword == key || *tag == key);
    // By an attribute that is not kept beside the objects nothing can be told apart.
    let Some((keyword, _)) = known else {
        return Err(Fault::bad_request(format!("Nothing can be found by `{key}` here.")));
    };
    // A single star matches everything.
    let value = if value == "*" { "" } else { value };
    let slot = match *keyword {
        "StudyInstanceUID" => &mut filter.study,
        "SeriesInstanceUID" => &mut filter.series,
        "SOPInstanceUID" => &mut filter.sop,
        "SOPClassUID" => &mut filter.sop_class,
        "PatientID" => &mut filter.patient_id,
        "AccessionNumber" => &mut filter.accession,
        "Modality" | "ModalitiesInStudy" => &mut filter.modality,
        "PatientName" => {
            filter.patient_name = pattern(value);
            return Ok(());
        }
        _ => {
            filter.dates = dates(value)?;
            return Ok(());
        }
    };
    // What the path says stays.
    if slot.is_empty() {
        value.clone_into(slot);
    }
    Ok(())
}

/// DICOM's wildcards as those of LIKE.
fn pattern(name: &str) -> String {
    let mut pattern = String::new();
    for letter in name.to_lowercase().chars() {
        match letter {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '\\' => pattern.extend(['\\', letter]),
            letter => pattern.push(letter),
        }
    }
    pattern
}

/// `20261130`, or a range with an end missing at will.
fn dates(range: &str) -> Result<(String, String), Fault> {
    let date = |text: &str| match text {
        "" => Ok(String::new()),
        text if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))
        }
        _ => Err(Fault::bad_request("A date is written YYYYMMDD, a range with a hyphen.")),
    };
    match range.split_once('-') {
        Some((first, last)) => Ok((date(first)?, date(last)?)),
        None => Ok((date(range)?, date(range)?)),
    }
}

fn answer(found: Vec<Json>) -> Response {
    if found.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let body = Json::Array(found).to_string();
    ([(header::CONTENT_TYPE, "application/dicom+json")], body).into_response()
}

pub async fn studies(
    State(web): State<Web>,
    who: Who,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let ask = parse(&Address::default(), query.as_deref().unwrap_or(""))?;
    let base = base_url(&headers);
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let groups = index::studies(&mut tx, &who.tenant, &ask.filter, ask.page).await?;
    drop(tx);
    note_groups(&web, &who, &groups).await?;
    let found = groups.into_iter().map(|group| {
        let mut object = of_study(&Of::group(&group), &base);
        let at = group.first_acquired_at.as_deref();
        object.insert("00080020".into(), texts("DA", [date_of(at).as_str()]));
        object.insert("00080030".into(), texts("TM", [time_of(at).as_str()]));
        object.insert("00080061".into(), texts("CS", group.modalities.split(' ')));
        object.insert("00201206".into(), number("IS", Some(group.series)));
        object.insert("00201208".into(), number("IS", Some(group.instances)));
        Json::Object(object)
    });
    Ok(answer(found.collect()))
}

pub async fn series(
    State(web): State<Web>,
    who: Who,
    address: Option<Path<Address>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let address = address.map(|Path(address)| address).unwrap_or_default();
    let ask = parse(&address, query.as_deref().unwrap_or(""))?;
    let base = base_url(&headers);
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let groups = index::series(&mut tx, &who.tenant, &ask.filter, ask.page).await?;
    drop(tx);
    note_groups(&web, &who, &groups).await?;
    let found = groups.into_iter().map(|group| {
        let mut object = of_series(&Of::group(&group), &base);
        object.insert("00201209".into(), number("IS", Some(group.instances)));
        Json::Object(object)
    });
    Ok(answer(found.collect()))
}

pub async fn instances(
    State(web): State<Web>,
    who: Who,
    address: Option<Path<Address>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let address = address.map(|Path(address)| address).unwrap_or_default();
    let ask = parse(&address, query.as_deref().unwrap_or(""))?;
    let base = base_url(&headers);
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let mut rows = index::instances(&mut tx, &who.tenant, &ask.filter, ask.page).await?;
    drop(tx);
    rows.dedup_by(|later, first| later.sop_instance_uid == first.sop_instance_uid);
    note_look(&web.core, &who, &rows).await?;
    Ok(answer(rows.iter().map(|row| Json::Object(of_instance(row, &base))).collect()))
}

/// Writes down of which exams the studies or series were seen.
async fn note_groups(web: &Web, who: &Who, groups: &[Group]) -> Result<(), Fault> {
    let of_group = |group: &Group| {
        let study = group.study_instance_uid.clone();
        let exams: Vec<String> = group.encounters.split(' ').map(str::to_owned).collect();
        exams.into_iter().map(move |exam| (Some(exam).filter(|it| !it.is_empty()), study.clone()))
    };
    note_exams(&web.core, who, groups.iter().flat_map(of_group)).await
}

/// `20261130` of the time that an object gives.
fn date_of(at: Option<&str>) -> String {
    at.and_then(|at| at.get(..10)).unwrap_or_default().replace('-', "")
}
fn time_of(at: Option<&str>) -> String {
    at.and_then(|at| at.get(11..19)).unwrap_or_default().replace(':', "")
}

/// What answers of every level say of an object.
struct Of<'a> {
    study: &'a str,
    series: &'a str,
    modality: &'a str,
    eye: &'a str,
    series_number: Option<i64>,
    patient_id: &'a str,
    birth_date: Option<&'a str>,
    accession: &'a str,
    header: Header,
}

impl<'a> Of<'a> {
    fn group(group: &'a Group) -> Self {
        Self {
            study: &group.study_instance_uid,
            series: &group.series_instance_uid,
            modality: &group.modality,
            eye: &group.eye,
            series_number: group.series_number,
            patient_id: &group.patient_id,
            birth_date: group.birth_date.as_deref(),
            accession: &group.accession,
            header: serde_json::from_str(&group.header).unwrap_or_default(),
        }
    }
    fn instance(row: &'a InstanceRow) -> Self {
        Self {
            study: &row.study_instance_uid,
            series: &row.series_instance_uid,
            modality: &row.modality,
            eye: &row.eye,
            series_number: row.series_number,
            patient_id: &row.patient_id,
            birth_date: row.birth_date.as_deref(),
            accession: &row.accession,
            header: serde_json::from_str(&row.header).unwrap_or_default(),
        }
    }
}

fn of_study(of: &Of<'_>, base: &str) -> Map<String, Json> {
    let name = of.header.patient_name.as_deref().unwrap_or_default();
    let born = of.birth_date.unwrap_or_default().replace('-', "");
    let url = format!("{base}/studies/{}", of.study);
    let mut object = Map::new();
    for (tag, vr, value) in [
        ("00080050", "SH", of.accession),
        ("00080056", "CS", "ONLINE"),
        ("00081190", "UR", url.as_str()),
        ("00100010", "PN", name),
        ("00100020", "LO", of.patient_id),
        ("00100030", "DA", born.as_str()),
        ("0020000D", "UI", of.study),
    ] {
        object.insert(tag.into(), texts(vr, [value]));
    }
    object
}

fn of_series(of: &Of<'_>, base: &str) -> Map<String, Json> {
    let mut object = of_study(of, base);
    let url = format!("{base}/studies/{}/series/{}", of.study, of.series);
    let description = of.header.series_description.as_deref().unwrap_or_default();
    for (name, vr, value) in [
        ("00080060", "CS", of.modality),
        ("0008103E", "LO", description),
        ("00081190", "UR", url.as_str()),
        ("0020000E", "UI", of.series),
        ("00200060", "CS", of.eye),
    ] {
        object.insert(name.into(), texts(vr, [value]));
    }
    object.insert("00200011".into(), number("IS", of.series_number));
    object
}

fn of_instance(row: &InstanceRow, base: &str) -> Map<String, Json> {
    let of = Of::instance(row);
    let mut object = of_series(&of, base);
    let header = of.header;
    let url = format!(
        "{base}/studies/{}/series/{}/instances/{}",
        row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid
    );
    for (name, vr, value) in [
        ("00080016", "UI", row.sop_class_uid.as_str()),
        ("00080018", "UI", row.sop_instance_uid.as_str()),
        ("00081190", "UR", url.as_str()),
        ("00083002", "UI", row.transfer_syntax_uid.as_str()),
    ] {
        object.insert(name.into(), texts(vr, [value]));
    }
    object.insert("00200013".into(), number("IS", row.instance_number));
    if let Some(pixels) = &header.pixels {
        object.insert(json::name(dicom_core::Tag(0x0028, 0x0008)), number("IS", Some(row.frames)));
        for (name, value) in [
            ("00280010", pixels.rows),
            ("00280011", pixels.columns),
            ("00280100", pixels.bits_allocated),
        ] {
            object.insert(name.into(), number("US", Some(i64::from(value))));
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_dates_are_translated() {
        assert_eq!(pattern("We?er^E*"), "we_er^e%");
        assert_eq!(pattern("100%_\\"), "100\\%\\_\\\\");
        let range = |text| dates(text).map(|(first, last)| format!("{first}..{last}"));
        assert_eq!(range("20261130").unwrap(), "2026-11-30..2026-11-30");
        assert_eq!(range("-20261130").unwrap(), "..2026-11-30");
        assert_eq!(range("20261101-").unwrap(), "2026-11-01..");
        assert!(range("yesterday").is_err());
        assert!(parse(&Address::default(), "Rows=5").is_err());
        let within = Address { study: "1.2".into(), ..Address::default() };
        let ask = parse(&within, "StudyInstanceUID=9&limit=99999&00100020=A-1").ok().unwrap();
        assert_eq!((ask.filter.study.as_str(), ask.page.0), ("1.2", LIMIT_MAX));
        assert_eq!(ask.filter.patient_id, "A-1");
    }
}
