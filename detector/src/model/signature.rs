//! What goes into a graph and what comes out: names, element types and shapes.
//!
//! Read from the file before it is loaded, or asked of a loaded session; both give the same types.

use std::fmt;

/// The inputs that a caller must give and the outputs that it gets, in the graph's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// What a caller must give; weights that old exporters list among the inputs are left out.
    pub inputs: Vec<Port>,
    /// What it gets.
    pub outputs: Vec<Port>,
}

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// What its numbers are.
    pub element: Element,
    /// Its dimensions; `None` if the file does not even say how many. A session reports such a
    /// port without dimensions, as it does a scalar.
    pub shape: Option<Vec<Dim>>,
}

/// The length of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this.
    Fixed(usize),
    /// Changes from run to run; exporters often name it, such as `batch`.
    Free(Option<String>),
}

/// The type of a tensor's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// 16-bit floats (not bfloat16).
    F16,
    /// 64-bit floats.
    F64,
    /// Bytes.
    U8,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// Truth values.
    Bool,
    /// Anything else, by ONNX's name for it, such as `int8` or `sequence`.
    Other(String),
}

impl Signature {
    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|port| port.name == name)
    }
}

impl Port {
    /// How many dimensions it has, if that is known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The length of a dimension, if it is fixed.
    pub fn fixed(&self, dimension: usize) -> Option<usize> {
        self.shape.as_ref()?.get(dimension)?.fixed()
    }

    /// Whether its numbers are floats of any width.
    pub fn is_float(&self) -> bool {
        matches!(self.element, Element::F32 | Element::F16 | Element::F64)
    }

    /// Whether its numbers are whole.
    pub fn is_integer(&self) -> bool {
        matches!(self.element, Element::U8 | Element::I32 | Element::I64)
    }
}

impl Dim {
    /// The length, if it is fixed.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(length) => Some(*length),
            Self::Free(_) => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::F64 => "float64",
            Self::U8 => "uint8",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::Bool => "bool",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(formatter, "{length}"),
            Self::Free(Some(name)) => write!(formatter, "{}", name.escape_debug()),
            Self::Free(None) => formatter.write_str("?"),
        }
    }
}

/// As in `images float32 [batch, 3, 640, 640]`.
impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from strangers and end up in terminals.
        write!(formatter, "{} {} ", self.name.escape_debug(), self.element)?;
        let Some(dimensions) = &self.shape else {
            return formatter.write_str("[...]");
        };
        let lengths: Vec<String> = dimensions.iter().map(Dim::to_string).collect();
        write!(formatter, "[{}]", lengths.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: Option<Vec<Dim>>) -> Port {
        Port {
            name: "images".to_owned(),
            element: Element::F32,
            shape,
        }
    }

    #[test]
    fn a_port_reads_as_people_write_it() {
        let images = port(Some(vec![
            Dim::Free(Some("batch".to_owned())),
            Dim::Fixed(3),
            Dim::Free(None),
        ]));
        assert_eq!(images.to_string(), "images float32 [batch, 3, ?]");
        assert_eq!(port(Some(vec![])).to_string(), "images float32 []");
        assert_eq!(port(None).to_string(), "images float32 [...]");
        let mut hostile = port(None);
        hostile.name = "a\u{1b}[2Jb\n".to_owned();
        assert_eq!(hostile.to_string(), r"a\u{1b}[2Jb\n float32 [...]");
    }

    #[test]
    fn only_fixed_lengths_are_given() {
        let images = port(Some(vec![Dim::Free(None), Dim::Fixed(3)]));
        assert_eq!(images.rank(), Some(2));
        assert_eq!((images.fixed(0), images.fixed(1)), (None, Some(3)));
        assert_eq!(images.fixed(2), None, "beyond the last");
        assert_eq!((port(None).rank(), port(None).fixed(0)), (None, None));
    }

    #[test]
    fn ports_are_found_by_name() {
        let signature = Signature {
            inputs: vec![port(None)],
            outputs: Vec::new(),
        };
        assert!(signature.input("images").is_some());
        assert!(signature.input("image").is_none());
        assert!(signature.output("images").is_none());
    }
}
