//! What a check came to.

/// One line of the report.
pub(super) struct Finding {
    pub(super) about: &'static str,
    pub(super) grade: Grade,
    pub(super) said: String,
    /// What to do about it.
    pub(super) mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    Ok,
    /// It works, and somebody should know.
    Warn,
    Fail,
    /// It was not looked at.
    Skip,
}

impl Grade {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

impl Finding {
    pub(super) fn ok(about: &'static str, said: impl Into<String>) -> Self {
        Self { about, grade: Grade::Ok, said: said.into(), mend: None }
    }

    pub(super) fn warn(about: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { about, grade: Grade::Warn, said: said.into(), mend: Some(mend.into()) }
    }

    pub(super) fn fail(about: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { about, grade: Grade::Fail, said: said.into(), mend: Some(mend.into()) }
    }

    pub(super) fn skip(about: &'static str, said: impl Into<String>) -> Self {
        Self { about, grade: Grade::Skip, said: said.into(), mend: None }
    }
}
