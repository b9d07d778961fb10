//! Times in JSON: as RFC 3339 has them, in UTC.

/// Of seconds since 1970.
pub mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes it; one beyond the year 9999 as the last moment there is.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(at: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let at = i64::try_from(*at).ok().and_then(|at| Timestamp::from_second(at).ok());
        serializer.collect_str(&at.unwrap_or(Timestamp::MAX))
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is no time, or one before 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: Timestamp = text.parse().map_err(de::Error::custom)?;
        u64::try_from(at.as_second()).map_err(de::Error::custom)
    }
}

/// Of seconds since 1970, where there may be none.
pub mod maybe {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Seconds(#[serde(with = "super::seconds")] u64);

    /// Writes it.
    ///
    /// # Errors
    /// If the serializer fails.
    #[expect(clippy::ref_option, reason = "serde gives it so")]
    pub fn serialize<S: Serializer>(at: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Seconds).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is no time, or one before 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Seconds>::deserialize(deserializer)?.map(|seconds| seconds.0))
    }
}

/// Of milliseconds since 1970.
pub mod millis {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes it; one beyond the year 9999 as the last moment there is.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(at: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let at = i64::try_from(*at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        serializer.collect_str(&at.unwrap_or(Timestamp::MAX))
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is no time, or one before 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: Timestamp = text.parse().map_err(de::Error::custom)?;
        u64::try_from(at.as_millisecond()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "super::seconds")]
        second: u64,
        #[serde(with = "super::millis")]
        milli: u64,
        #[serde(with = "super::maybe")]
        perhaps: Option<u64>,
    }

    #[test]
    fn times_are_written_as_rfc_3339_has_them_and_read_back() {
        let times = Times { second: 1_800_000_000, milli: 1_800_000_000_042, perhaps: None };
        let text = serde_json::to_string(&times).expect("JSON");
        assert_eq!(
            text,
            r#"{"second":"2027-01-15T08:00:00Z","milli":"2027-01-15T08:00:00.042Z","perhaps":null}"#
        );
        assert_eq!(serde_json::from_str::<Times>(&text).expect("times"), times);
        let text = text.replace("null", r#""2027-01-15T08:00:00Z""#);
        let known = Times { perhaps: Some(1_800_000_000), ..times };
        assert_eq!(serde_json::from_str::<Times>(&text).expect("times"), known);
        assert_eq!(serde_json::to_string(&known).expect("JSON"), text);
        let last = Times { second: u64::MAX, milli: u64::MAX, perhaps: Some(u64::MAX) };
        assert!(serde_json::to_string(&last).expect("JSON").contains("9999-12-30"));
        for bad in ["1800000000", "yesterday", "1969-12-31T23:59:59Z"] {
            let text = format!(r#"{{"second":"{bad}","milli":"2027-01-15T08:00:00Z","perhaps":null}}"#);
            assert!(serde_json::from_str::<Times>(&text).is_err(), "{bad}");
        }
    }
}
