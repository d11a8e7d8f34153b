//! The list of a program's methods, and what of it its callers do not get.

use rpc_wire::signature::{self, NotAMethodList, Signature};

/// Methods of one program that are served; further ones are left out with a warning.
const MAX_METHODS: usize = 1000;
/// Bytes of a method list that clients read unless they are told otherwise (`max_method_list_bytes`); over it there is a
/// warning.
const MAX_LIST_BYTES: usize = 4 << 20;

/// What a program listed.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Listing {
    pub(crate) methods: Vec<Signature>,
    /// What its callers do not get, as sentences that say what to do.
    pub(crate) warnings: Vec<String>,
}

impl Listing {
    /// Reads a list like that of `all_your_methods`, or an OpenRPC document.
    ///
    /// # Errors
    /// It is neither.
    pub(crate) fn read(list: &str) -> Result<Self, NotAMethodList> {
        let is_classic = list.starts_with('[');
        let one_more = MAX_METHODS + 1;
        let mut methods = match is_classic {
            true => signature::from_classic_within(list, one_more)?,
            false => signature::from_openrpc_within(list, one_more)?,
        };
        let mut warnings = Vec::new();
        let references = if is_classic { 0 } else { signature::references(list) };
        if references > 0 {
            warnings.push(format!(
                "{references} methods of its list are references ($ref) and left out; write the methods in their place"
            ));
        }
        if methods.len() + references > MAX_METHODS {
            methods.truncate(MAX_METHODS);
            warnings.push(format!(
                "it lists more than {MAX_METHODS} methods (MAX_METHODS); those behind are left out, so list fewer, or use two programs"
            ));
        }
        let bytes = signature::to_openrpc("", "", &methods).to_string().len();
        if bytes > MAX_LIST_BYTES {
            warnings.push(format!(
                "its list of methods has {bytes} bytes as clients get it, and they read {MAX_LIST_BYTES} (max_method_list_bytes), so they may call its methods, but not list them; shorten the descriptions"
            ));
        }
        Ok(Self { methods, warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(methods: &[String]) -> String {
        format!(r#"{{"methods":[{}]}}"#, methods.join(","))
    }

    fn method(at: usize) -> String {
        format!(r#"{{"name":"m{at}"}}"#)
    }

    #[test]
    fn of_too_many_methods_the_first_are_served_with_a_warning() {
        let most: Vec<_> = (0..MAX_METHODS).map(method).collect();
        let listing = Listing::read(&document(&most)).unwrap();
        assert_eq!((listing.methods.len(), listing.warnings.len()), (MAX_METHODS, 0));
        let more: Vec<_> = (0..3 * MAX_METHODS).map(method).collect();
        let classic = more.join(",").replace("name", "method_name");
        for list in [document(&more), format!("[{classic}]")] {
            let listing = Listing::read(&list).unwrap();
            assert_eq!(listing.methods.len(), MAX_METHODS);
            assert!(listing.warnings[0].contains("more than 1000 methods (MAX_METHODS)"));
        }
    }

    #[test]
    fn a_method_that_is_a_reference_is_left_out_with_a_warning() {
        let reference = r##"{"$ref":"#/components/methods/x"}"##.to_owned();
        let schema =
            r##"{"name":"m1","params":[{"name":"a","schema":{"$ref":"#/x"}}]}"##.to_owned();
        let listing = Listing::read(&document(&[reference, schema])).unwrap();
        assert_eq!(listing.methods.len(), 1);
        assert_eq!(listing.methods[0].name, "m1");
        assert!(listing.warnings[0].contains("1 methods of its list are references ($ref)"));
    }

    #[test]
    fn a_list_that_clients_do_not_read_is_served_with_a_warning() {
        let text = "x".repeat(3500);
        let long = |at| format!(r#"{{"name":"m{at}","description":"{text}"}}"#);
        let methods: Vec<_> = (0..MAX_METHODS).map(long).collect();
        let listing = Listing::read(&document(&methods)).unwrap();
        assert_eq!(listing.methods.len(), MAX_METHODS);
        assert!(listing.warnings[0].contains("max_method_list_bytes"), "{:?}", listing.warnings);
        assert_eq!(Listing::read(&document(&methods[..100])).unwrap().warnings.len(), 0);
    }

    #[test]
    fn of_a_list_that_is_wrong_the_entry_is_named() {
        let wrong = r#"{"name":"bad","params":"no"}"#.to_owned();
        let NotAMethodList(why) = Listing::read(&document(&[method(0), wrong])).unwrap_err();
        assert!(why.contains("methods[1]"), "{why}");
    }
}
