//! Which of a graph's outputs plays which part in its convention: by the name that `model.toml`
//! gives, by the names that exporters give, or by being the only one of that form.

use crate::model::signature::{Element, Port, Signature};

/// What a part's numbers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Floats,
    Integers,
    /// Floats, or truth values.
    Masks,
    /// Floats, or the numbers of classes.
    FloatsOrIntegers,
}

/// A part of a convention's answer and what an output must be to play it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// What `model.toml` calls it, as in `names = { boxes = … }`.
    pub(super) part: &'static str,
    /// What exporters call it, the likeliest first.
    pub(super) names: &'static [&'static str],
    pub(super) kind: Kind,
    /// The shapes it may have; `None` stands for any length.
    pub(super) shapes: &'static [&'static [Option<usize>]],
    /// The same in words.
    pub(super) form: &'static str,
}

/// No output, or no single one, plays a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The name in `model.toml` is none of the graph's.
    #[error("there is no output {wanted:?} for the {part}")]
    NoSuchName {
        /// The part.
        part: &'static str,
        /// The name that was given.
        wanted: String,
    },
    /// An output has the right name and another form.
    #[error("output {found} cannot be the {part}: {form} is expected")]
    WrongForm {
        /// The part.
        part: &'static str,
        /// The output, with its type and shape.
        found: String,
        /// What it must be.
        form: &'static str,
    },
    /// Nothing looks like it.
    #[error("none of the outputs is known to be the {part} ({form})")]
    NotFound {
        /// The part.
        part: &'static str,
        /// What it must be.
        form: &'static str,
    },
    /// Several look like it.
    #[error("the {part} may be any of {candidates}")]
    Ambiguous {
        /// The part.
        part: &'static str,
        /// The outputs that could be it.
        candidates: String,
    },
}

/// Gives out a graph's outputs, each for one part.
#[derive(Debug)]
pub(super) struct Finder<'a> {
    signature: &'a Signature,
    taken: Vec<&'a str>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(signature: &'a Signature) -> Self {
        Self {
            signature,
            taken: Vec::new(),
        }
    }

    /// The output that plays the part.
    pub(super) fn find(&mut self, part: Part, given: Option<&str>) -> Result<&'a Port, PortError> {
        self.find_if_any(part, given)?.ok_or(PortError::NotFound {
            part: part.part,
            form: part.form,
        })
    }

    /// The same for a part that may be missing.
    pub(super) fn find_if_any(
        &mut self,
        part: Part,
        given: Option<&str>,
    ) -> Result<Option<&'a Port>, PortError> {
        let found = match given {
            Some(name) => Some(self.signature.output(name).ok_or(PortError::NoSuchName {
                part: part.part,
                wanted: name.to_owned(),
            })?),
            None => match self.known_by_name(part) {
                Some(port) => Some(port),
                None => self.only_of_form(part)?,
            },
        };
        let Some(port) = found else {
            return Ok(None);
        };
        if !part.allows(port) {
            return Err(PortError::WrongForm {
                part: part.part,
                found: port.to_string(),
                form: part.form,
            });
        }
        self.taken.push(&port.name);
        Ok(Some(port))
    }

    fn known_by_name(&self, part: Part) -> Option<&'a Port> {
        let free = |name: &&str| !self.taken.contains(name);
        let mut names = part.names.iter().copied().filter(free);
        names.find_map(|name| self.signature.output(name))
    }

    fn only_of_form(&self, part: Part) -> Result<Option<&'a Port>, PortError> {
        let candidates: Vec<&Port> = self
            .signature
            .outputs
            .iter()
            .filter(|port| !self.taken.contains(&port.name.as_str()) && part.is_surely(port))
            .collect();
        match candidates[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => {
                let names: Vec<&str> = candidates.iter().map(|port| port.name.as_str()).collect();
                Err(PortError::Ambiguous {
                    part: part.part,
                    candidates: names.join(", "),
                })
            }
        }
    }
}

impl Part {
    /// Whether nothing that is known of the output speaks against it.
    fn allows(&self, port: &Port) -> bool {
        let fits = |shape: &&[Option<usize>]| match port.rank() {
            None => true,
            Some(rank) => {
                rank == shape.len()
                    && (0..rank).all(|axis| match (shape[axis], port.fixed(axis)) {
                        (Some(wanted), Some(found)) => wanted == found,
                        _ => true,
                    })
            }
        };
        self.kind.allows(&port.element) && self.shapes.iter().any(fits)
    }

    /// Whether everything that is wanted of it is known to be so.
    fn is_surely(&self, port: &Port) -> bool {
        let fits = |shape: &&[Option<usize>]| {
            port.rank() == Some(shape.len())
                && (0..shape.len())
                    .all(|axis| shape[axis].is_none() || shape[axis] == port.fixed(axis))
        };
        self.kind.allows(&port.element) && self.shapes.iter().any(fits)
    }
}

impl Kind {
    fn allows(self, element: &Element) -> bool {
        let is_float = matches!(element, Element::F32 | Element::F16 | Element::F64);
        let is_integer = matches!(element, Element::U8 | Element::I32 | Element::I64);
        match self {
            Self::Floats => is_float,
            Self::Integers => is_integer,
            Self::Masks => is_float || matches!(element, Element::Bool | Element::U8),
            Self::FloatsOrIntegers => is_float || is_integer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signature::Dim;

    const BOXES: Part = Part {
        part: "boxes",
        names: &["boxes", "dets"],
        kind: Kind::Floats,
        shapes: &[&[None, Some(4)]],
        form: "floats [n, 4]",
    };

    fn port(name: &str, element: Element, lengths: &[usize]) -> Port {
        let dims = lengths.iter().map(|&length| match length {
            0 => Dim::Free(None),
            _ => Dim::Fixed(length),
        });
        Port {
            name: name.to_owned(),
            element,
            shape: Some(dims.collect()),
        }
    }

    fn find(outputs: Vec<Port>, given: Option<&str>) -> Result<String, PortError> {
        let signature = Signature {
            inputs: Vec::new(),
            outputs,
        };
        let port = Finder::new(&signature).find(BOXES, given)?;
        Ok(port.name.clone())
    }

    #[test]
    fn a_given_name_comes_first_then_a_known_one_then_the_form() {
        let named = port("dets", Element::F32, &[0, 4]);
        let numbered = port("1234", Element::F16, &[0, 4]);
        let both = || vec![numbered.clone(), named.clone()];
        assert_eq!(find(both(), Some("1234")), Ok("1234".to_owned()));
        assert_eq!(find(both(), None), Ok("dets".to_owned()));
        assert_eq!(find(vec![numbered.clone()], None), Ok("1234".to_owned()));
    }

    #[test]
    fn what_is_not_there_or_not_clear_is_said() {
        let other = port("scores", Element::F32, &[0]);
        let missing = find(vec![other.clone()], None).unwrap_err();
        assert!(missing.to_string().contains("the boxes (floats [n, 4])"));
        let misspelt = find(vec![other], Some("score")).unwrap_err();
        assert!(misspelt.to_string().contains("no output \"score\""));
        let twins = vec![
            port("a", Element::F32, &[0, 4]),
            port("b", Element::F32, &[9, 4]),
        ];
        let unclear = find(twins, None).unwrap_err();
        assert!(unclear.to_string().contains("any of a, b"), "{unclear}");
    }

    #[test]
    fn a_name_does_not_make_up_for_the_form() {
        for wrong in [
            port("boxes", Element::I64, &[0, 4]),
            port("boxes", Element::F32, &[0, 5]),
            port("boxes", Element::F32, &[1, 0, 4]),
        ] {
            let error = find(vec![wrong.clone()], None).unwrap_err();
            assert!(matches!(error, PortError::WrongForm { .. }), "{wrong}");
        }
        // Lengths that the graph leaves open may be right.
        let open = port("boxes", Element::F32, &[0, 0]);
        assert!(find(vec![open.clone()], None).is_ok());
        let open_and_unknown = Port {
            name: "77".to_owned(),
            ..open
        };
        assert!(find(vec![open_and_unknown], None).is_err());
    }

    #[test]
    fn an_output_plays_one_part_only() {
        let signature = Signature {
            inputs: Vec::new(),
            outputs: vec![port("boxes", Element::F32, &[0, 4])],
        };
        let mut finder = Finder::new(&signature);
        assert!(finder.find(BOXES, None).is_ok());
        assert!(finder.find(BOXES, None).is_err());
    }
}
