//! Pictures of instances over the real router, on both kinds of database.

#[macro_use]
mod site;

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request},
};
use http_body_util::BodyExt;
use site::{
    Site,
    world::{
        TENANT,
        dicom::Set,
        images::{PHOTO, Taken},
    },
};
use tower::ServiceExt;

on_both!(
    frames_are_pictures_of_what_was_stored,
    only_the_practice_sees_its_images,
    a_look_is_noted_once_for_all_frames,
    what_cannot_be_shown_is_said,
    documents_and_files_come_as_they_are,
    the_page_shows_what_has_to_be_known,
    parts_of_a_concatenation_are_one_stack,
);

/// A request with a token; gives bytes.
async fn get(site: &Site, token: &str, path: &str, tag: &str) -> (u16, HeaderMap, Vec<u8>) {
    let request = Request::builder().method(Method::GET).uri(path);
    let request = request.header("authorization", token).header("if-none-match", tag);
    let response = site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    (parts.status.as_u16(), parts.headers, bytes)
}

async fn page(site: &Site, token: &str, path: &str) -> String {
    let (status, _, body) = get(site, token, path, "").await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 200, "{path}: {text}");
    text
}

/// The grey values of a PNG.
fn grey(png_bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png_bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Grayscale);
    pixels.truncate(info.buffer_size());
    (info.width, info.height, pixels)
}

async fn taken(site: &Site, uid: &str) -> Taken {
    site.world.taken(&site.visits["A-10977"], "R", uid).await
}

/// Three frames of 2 by 4 pixels, stored in the order last, first, middle.
async fn tiny(site: &Site, uid: &str) -> Set {
    let order = |place: u32| {
        let content = Set::default().ul(0x0020_9157, &[1, place]);
        Set::default().items(0x0020_9111, vec![content])
    };
    let taken = taken(site, uid).await;
    taken
        .volume((3, 2, 4))
        .items(0x5200_9230, vec![order(3), order(1), order(2)])
        .pixels(8, &[[30; 8], [10; 8], [20; 8]].concat())
}

async fn frames_are_pictures_of_what_was_stored(site: Site) {
    let id = site.world.image(TENANT, &tiny(&site, "2.25.51").await).await;
    let token = site.token("okafor").await;
    for (frame, value) in [(1, 10), (2, 20), (3, 30)] {
        let path = format!("/instances/{id}/frames/{frame}");
        let (status, headers, body) = get(&site, &token, &path, "").await;
        assert_eq!((status, grey(&body)), (200, (4, 2, vec![value; 8])));
        assert_eq!(headers["content-type"], "image/png");
        assert_eq!(headers["cache-control"], "private, max-age=3600, immutable");
        let tag = headers["etag"].to_str().unwrap();
        let (status, _, body) = get(&site, &token, &path, tag).await;
        assert_eq!((status, body.len()), (304, 0));
    }
    let windowed = format!("/instances/{id}/frames/2.png?center=20.5&width=11");
    let (_, _, body) = get(&site, &token, &windowed, "").await;
    assert_eq!(grey(&body).2, [128; 8], "the middle of the window");
    for (path, expected) in [
        ("frames/0", 404),
        ("frames/4", 404),
        ("frames/x", 404),
        ("frames/99999999999999999999", 404),
        ("frames/1?center=5", 400),
        ("frames/1?center=5&width=0", 400),
        ("frames/1?center=NaN&width=7", 400),
    ] {
        let (status, ..) = get(&site, &token, &format!("/instances/{id}/{path}"), "").await;
        assert_eq!(status, expected, "{path}");
    }
    let (status, headers, body) =
        get(&site, &token, &format!("/instances/{id}/thumbnail.png"), "").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "image/png"));
    let (width, height, pixels) = grey(&body);
    assert!(width > height && pixels.iter().all(|it| *it == 20), "the middle frame, to scale");
}

async fn only_the_practice_sees_its_images(site: Site) {
    let id = site.world.image(TENANT, &tiny(&site, "2.25.52").await).await;
    let (ours, theirs) = (site.token("ana").await, site.token("bea").await);
    let optician = site.token("nils").await;
    for path in ["", "/frames/1", "/thumbnail.png", "/document.pdf", "/file.dcm"] {
        let path = format!("/instances/{id}{path}");
        // Ours first, so that whatever is kept in memory is there for others to find.
        let (status, ..) = get(&site, &ours, &path, "").await;
        assert!(status == 200 || path.ends_with("pdf"), "{path}");
        assert_eq!(get(&site, &theirs, &path, "").await.0, 404, "{path}");
        assert_eq!(get(&site, &optician, &path, "").await.0, 403, "{path}");
    }
}

async fn a_look_is_noted_once_for_all_frames(site: Site) {
    let id = site.world.image(TENANT, &tiny(&site, "2.25.53").await).await;
    let token = site.token("okafor").await;
    for frame in [1, 2, 3, 1] {
        get(&site, &token, &format!("/instances/{id}/frames/{frame}"), "").await;
    }
    page(&site, &token, &format!("/instances/{id}")).await;
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT account_id, encounter_id, kinds FROM audit_entry
        WHERE tenant_id = $1 AND action = 'image_seen' AND subject = $2";
    let found: Vec<(String, Option<String>, String)> =
        tx.fetch_all(sql, chiasm_cloud::args![TENANT, &id]).await.unwrap();
    let encounter = site.visits["A-10977"].clone();
    assert_eq!(found, [(format!("{TENANT}-okafor"), Some(encounter), "image".into())]);
    // Moved to another patient while its frames are still in memory.
    let other = site.visits["A-11203"].clone();
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let sql = "UPDATE instance SET encounter_id = $3 WHERE tenant_id = $1 AND instance_id = $2";
    tx.execute(sql, chiasm_cloud::args![TENANT, &id, &other]).await.unwrap();
    tx.commit().await.unwrap();
    let token = site.token("ana").await;
    get(&site, &token, &format!("/instances/{id}/frames/2"), "").await;
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT encounter_id FROM audit_entry
        WHERE tenant_id = $1 AND action = 'image_seen' AND account_id = $2";
    let found: Vec<(String,)> =
        tx.fetch_all(sql, chiasm_cloud::args![TENANT, format!("{TENANT}-ana")]).await.unwrap();
    assert_eq!(found, [(other.clone(),)], "the look is the new patient's");
    drop(tx);
    // So is that of somebody who looked at it minutes ago, when it was the other patient's.
    let token = site.token("okafor").await;
    get(&site, &token, &format!("/instances/{id}/frames/2"), "").await;
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT encounter_id FROM audit_entry
        WHERE tenant_id = $1 AND action = 'image_seen' AND account_id = $2 AND encounter_id = $3";
    let account = format!("{TENANT}-okafor");
    let args = chiasm_cloud::args![TENANT, account, &other];
    let found: Vec<(String,)> = tx.fetch_all(sql, args).await.unwrap();
    assert_eq!(found.len(), 1, "a second look, at another patient's image");
}

async fn what_cannot_be_shown_is_said(mut site: Site) {
    let token = site.token("okafor").await;
    site.world.past(&site.visits).await;
    let images = site.world.imaged(&site.visits).await;
    let raw = page(&site, &token, &format!("/instances/{}", images["raw"])).await;
    assert!(raw.contains("Only software of Testmaker can show it."), "{raw}");
    let scrambled = page(&site, &token, &format!("/instances/{}", images["scrambled"])).await;
    assert!(scrambled.contains("Carl Zeiss Meditec scrambles the pixels"), "{scrambled}");
    assert!(scrambled.contains(&images["photo"]), "what can be shown is offered");
    let small = format!("/instances/{}/thumbnail.png", images["scrambled"]);
    let (status, headers, _) = get(&site, &token, &small, "").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
    let video = taken(&site, "2.25.54").await.volume((1, 2, 4)).fragments(&[], vec![vec![0; 64]]);
    let video = site.world.image_file(TENANT, video.file("1.2.840.10008.1.2.4.102")).await;
    let path = format!("/instances/{video}");
    assert!(page(&site, &token, &path).await.contains("Pictures in MPEG-4 video cannot be shown"));
    let (status, _, body) = get(&site, &token, &format!("{path}/frames/1"), "").await;
    assert_eq!(status, 422);
    assert!(String::from_utf8(body).unwrap().contains("MPEG-4 video"));
}

async fn documents_and_files_come_as_they_are(site: Site) {
    let token = site.token("ana").await;
    let of = taken(&site, "2.25.55").await;
    let long = [b"%PDF-1.4\n".to_vec(), vec![b'x'; 200_000], b"%%EOF\n".to_vec()].concat();
    let report = of.report();
    let length = long.len() as u32;
    let long_report = of.report().text(0x0008_0018, "UI", "2.25.56").raw(0x0042_0011, "OB", &long);
    let page_in_disguise = of.report().text(0x0008_0018, "UI", "2.25.57").raw(
        0x0042_0011,
        "OB",
        b"<script>x</script>",
    );
    for (set, begins, len) in [
        (report.clone(), &b"%PDF-1.4\n1 0 obj"[..], None),
        (long_report.ul(0x0042_0015, &[length]), &long[..], Some(long.len())),
    ] {
        let id = site.world.image(TENANT, &set).await;
        let path = format!("/instances/{id}/document.pdf");
        let (status, headers, body) = get(&site, &token, &path, "").await;
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], "application/pdf");
        assert!(headers["content-disposition"].to_str().unwrap().starts_with("inline"));
        assert!(headers.contains_key("content-security-policy"));
        assert!(body.starts_with(begins) && len.is_none_or(|len| len == body.len()));
    }
    let id = site.world.image(TENANT, &page_in_disguise).await;
    let (status, ..) = get(&site, &token, &format!("/instances/{id}/document.pdf"), "").await;
    assert_eq!(status, 422);

    let file = site::world::images::file(&tiny(&site, "2.25.58").await);
    let id = site.world.image_file(TENANT, file.clone()).await;
    let (_, headers, body) = get(&site, &token, &format!("/instances/{id}/file.dcm"), "").await;
    assert_eq!(headers["content-type"], "application/dicom");
    assert!(body == file, "the bytes are the ones that arrived");
}

async fn the_page_shows_what_has_to_be_known(mut site: Site) {
    let token = site.token("okafor").await;
    site.world.past(&site.visits).await;
    let images = site.world.imaged(&site.visits).await;
    let volume = page(&site, &token, &format!("/instances/{}", images["volume"])).await;
    for part in ["right eye", "24 frames", "6.0 × 2.0 mm", "Macula cube", "Bergström, Lars"] {
        assert!(volume.contains(part), "{part}");
    }
    // 6 mm in 192 columns, 2 mm in 320 rows: a row's height is the unit.
    assert!(volume.contains("viewBox=\"0 0 960 320\""), "pixels are not square");
    assert!(volume.contains(&format!("/instances/{}/frames/1", images["map"])), "the map");
    let first = format!("<image href=\"/instances/{}/frames/13\"", images["volume"]);
    assert!(volume.contains(&first), "the middle frame needs no script");
    let both = format!("/instances/{}?beside={}", images["volume"], images["fellow"]);
    let both = page(&site, &token, &both).await;
    assert!(both.contains("left eye") && both.contains("Scroll both together"));
    let quick = [("fellow", "Beside the other eye"), ("before", "Beside the last visit")];
    for (word, label) in quick {
        let link = format!("?beside={}\">{label}", images[word]);
        assert!(volume.contains(&link), "{label}");
    }
    let stranger = site.visits["A-11452"].clone();
    let of_other = site.world.taken(&stranger, "R", "2.25.59").await.volume((1, 2, 4));
    let of_other = site.world.image(TENANT, &of_other).await;
    let mixed = format!("/instances/{}?beside={of_other}", images["volume"]);
    assert!(!page(&site, &token, &mixed).await.contains(&of_other), "another patient's");

    let marked = Set::default()
        .text(0x0008_0016, "UI", PHOTO)
        .text(0x0008_0018, "UI", "2.25.60")
        .text(0x0020_000D, "UI", "2.25.61")
        .text(0x0020_000E, "UI", "2.25.62")
        .text(0x0020_0062, "CS", "R")
        .text(0x0020_0060, "CS", "L")
        .text(0x0028_0301, "CS", "YES")
        .text(0x0028_2110, "CS", "01");
    let id = site.world.image(TENANT, &marked).await;
    let shown = page(&site, &token, &format!("/instances/{id}")).await;
    for part in ["contradicts itself about the eye", "Compressed with loss", "picture itself"] {
        assert!(shown.contains(part), "{part}");
    }
    assert!(shown.contains("Image that is in no exam"));
}

/// Parts come out of order, and one of them late: the stack is what is there, in the right order.
async fn parts_of_a_concatenation_are_one_stack(site: Site) {
    let part = async |number: u16, value: u8| {
        let taken = taken(&site, &format!("2.25.61{number}")).await;
        let offset = u32::from(number - 1) * 2;
        let set = taken
            .volume((2, 2, 4))
            .text(0x0020_000E, "UI", "2.25.6101")
            .text(0x0020_9161, "UI", "2.25.6100")
            .us(0x0020_9162, &[number])
            .us(0x0020_9163, &[3])
            .ul(0x0020_9228, &[offset])
            .pixels(8, &[[value; 8], [value + 1; 8]].concat());
        site.world.image(TENANT, &set).await
    };
    let token = site.token("okafor").await;
    let shown = async |id: &str, parts: usize, frame: usize| {
        let path = format!("/instances/{id}/frames/{parts}-{frame}.png?center=128&width=256");
        let (status, _, body) = get(&site, &token, &path, "").await;
        assert_eq!(status, 200, "{path}");
        grey(&body).2[0]
    };
    let third = part(3, 30).await;
    let first = part(1, 10).await;
    let text = page(&site, &token, &format!("/instances/{first}")).await;
    assert!(text.contains("Part 2 of 3 has not come yet."), "{text}");
    assert!(text.contains("data-frames=\"4\""), "{text}");
    let mut seen = Vec::new();
    for frame in 1..=4 {
        seen.push(shown(&first, 2, frame).await);
        assert_eq!(shown(&third, 2, frame).await, seen[frame - 1], "any part shows the whole");
    }
    assert_eq!(seen, [10, 11, 30, 31]);
    let second = part(2, 20).await;
    let text = page(&site, &token, &format!("/instances/{third}")).await;
    assert!(!text.contains("has not come yet"), "{text}");
    assert!(text.contains(&format!("/instances/{third}/frames/3-")), "{text}");
    let mut seen = Vec::new();
    for frame in 1..=6 {
        seen.push(shown(&second, 3, frame).await);
    }
    assert_eq!(seen, [10, 11, 20, 21, 30, 31]);
    let (status, ..) = get(&site, &token, &format!("/instances/{first}/frames/3-7"), "").await;
    assert_eq!(status, 404);
    // In the exam it is one image.
    let exam = page(&site, &token, &format!("/exams/{}", site.visits["A-10977"])).await;
    assert_eq!(exam.matches("/thumbnail.png").count(), 1, "one tile");
    assert!(exam.contains("6 frames"), "{exam}");
}
