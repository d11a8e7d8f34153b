//! A method with its service, in the cells there are.

use rpc_console_core::text;

const SEPARATOR: &str = " · ";
/// In fewer cells two names say less than one.
const MIN_BOTH: usize = 8;

/// `orders · ` and `refund`, for one style each. Where they do not fit both are cut: a name without its
/// service is another method.
pub(super) fn parts(service: Option<&str>, name: &str, room: usize) -> (String, String) {
    let Some(service) = service.filter(|_| room >= MIN_BOTH) else {
        return (String::new(), text::cut(name, room).into_owned());
    };
    let both = room.saturating_sub(text::width(SEPARATOR));
    let beside = both.saturating_sub(text::width(name));
    let service = text::cut(service, beside.max(both / 3));
    let name = text::cut(name, both - text::width(&service));
    (format!("{service}{SEPARATOR}"), name.into_owned())
}

/// `orders · refund`, or the name alone.
pub(super) fn label(service: Option<&str>, name: &str, room: usize) -> String {
    let (service, name) = parts(service, name, room);
    service + &name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_service_and_a_long_service_its_name() {
        let cut = |service, name, room| label(Some(service), name, room);
        assert_eq!(cut("rpcd", "area_of_circle", 21), "rpcd · area_of_circle");
        assert_eq!(cut("rpcd", "area_of_circle", 16), "rpcd · area_of_…");
        assert_eq!(cut("weather-of-the-north", "now", 16), "weather-o… · now");
        assert_eq!(cut("weather", "area_of_circle", 15), "wea… · area_of…");
        assert_eq!(cut("weather", "forecast", 6), "forec…");
        assert_eq!(label(None, "forecast", 20), "forecast");
    }
}
