//! The format's namespaces.

use crate::format::xml::{El, Key};

/// Which of the format's namespaces an element is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ns {
    Common,
    Ref,
    Km,
    Lm,
    Tm,
    Sbj,
    /// No namespace, as in Topcon's own additions.
    None,
    Other,
}

impl Ns {
    /// By the last part of the name's path: one known writer has another host in it.
    pub fn of(uri: Option<&str>) -> Self {
        let Some(uri) = uri else { return Ns::None };
        match uri.trim().rsplit('/').next() {
            Some("Common") => Ns::Common,
            Some("REF") => Ns::Ref,
            Some("KM") => Ns::Km,
            Some("LM") => Ns::Lm,
            Some("TM") => Ns::Tm,
            Some("SBJ") => Ns::Sbj,
            _ => Ns::Other,
        }
    }
    /// The kind of measurement whose elements stand in the namespace.
    pub fn of_type(kind: &str) -> Option<Self> {
        match kind {
            "REF" => Some(Ns::Ref),
            "KM" => Some(Ns::Km),
            "LM" => Some(Ns::Lm),
            "TM" => Some(Ns::Tm),
            "SBJ" => Some(Ns::Sbj),
            _ => None,
        }
    }
}

/// An element of this local name in this namespace; by its local name alone in a document that
/// uses no namespace of the format.
impl Key for (Ns, &str) {
    fn fits(self, el: El) -> bool {
        let (ns, name) = self;
        el.node().local_name() == name && (el.tree().by_name || Ns::of(el.node().namespace()) == ns)
    }
}
