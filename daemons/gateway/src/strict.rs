//! Whether JSON can be read by strict readers, as those of agents are: the syntax allows more.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Why a value cannot be read: half of a surrogate pair, or a number beyond all floats. Nothing of it is kept.
pub(crate) fn unreadable(json: &str) -> Option<String> {
    serde_json::from_str::<Readable>(json).err().map(|error| error.to_string())
}

/// Any value, read to its end.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_value_of_serde_json_can_hold_can_be_read_and_nothing_else() {
        let long = "1".repeat(400);
        for json in [
            "null",
            r#"[1,-2,1.5e300,"a\ud83d\ude00",{"é":[true,null]}]"#,
            "18446744073709551616",
            r#""\ud800""#,
            r#"{"\udc00":1}"#,
            "[1e999]",
            &long,
        ] {
            let is_held = serde_json::from_str::<serde_json::Value>(json).is_ok();
            assert_eq!(unreadable(json).is_none(), is_held, "{json}");
        }
        assert!(unreadable(r#"["\ud800"]"#).is_some() && unreadable("[1]").is_none());
    }
}
