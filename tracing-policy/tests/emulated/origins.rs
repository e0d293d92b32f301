//! From an instruction to the line of YAML.

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

#[test]
fn the_instructions_of_a_filter_lead_to_its_text() {
    let view = recorded("6.12");
    let filter = |value: &str| format!("{{index: 0, operator: Prefix, values: [{value}]}}");
    let texts = ["/a", "/b"].map(|value| {
        let selector = format!("{{matchArgs: [{}], matchActions: [{{action: Sigkill}}]}}", filter(value));
        policy("security_file_open", "{index: 0, type: file}", &selector)
    });
    let it = Emulated::new(&texts.each_ref().map(|text| resolved(text, &view)), &view);
    let body = &it.compiled.bodies[0];
    let code = &body.collection.programs[0].code;
    let mut seen = std::collections::BTreeSet::new();
    for origin in &code.origins {
        if let Some(place) = body.source_map.place(*origin) {
            let (start, end) = (place.span.start as usize, place.span.end as usize);
            seen.insert((place.rider, texts[place.rider].get(start..end).unwrap().trim().to_owned()));
        }
    }
    assert!(seen.contains(&(0, filter("/a"))), "{seen:?}");
    assert!(seen.contains(&(1, filter("/b"))), "{seen:?}");
    assert!(seen.iter().any(|(rider, text)| *rider == 1 && text.contains("Sigkill")), "{seen:?}");
}
