//! ONNX's numbers for element types: what they are called and how wide they are.

use crate::model::signature::Element;

/// The codes of `TensorProto.DataType`.
const TYPES: [(u64, &str, u64); 28] = [
    (1, "float32", 32),
    (2, "uint8", 8),
    (3, "int8", 8),
    (4, "uint16", 16),
    (5, "int16", 16),
    (6, "int32", 32),
    (7, "int64", 64),
    (8, "string", 0),
    (9, "bool", 8),
    (10, "float16", 16),
    (11, "float64", 64),
    (12, "uint32", 32),
    (13, "uint64", 64),
    (14, "complex64", 64),
    (15, "complex128", 128),
    (16, "bfloat16", 16),
    (17, "float8e4m3fn", 8),
    (18, "float8e4m3fnuz", 8),
    (19, "float8e5m2", 8),
    (20, "float8e5m2fnuz", 8),
    (21, "uint4", 4),
    (22, "int4", 4),
    (23, "float4e2m1", 4),
    (24, "float8e8m0", 8),
    (25, "uint2", 2),
    (26, "int2", 2),
    (27, "float6e2m3", 6),
    (28, "float6e3m2", 6),
];

/// The type that a tensor's code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataType {
    pub(super) code: u64,
    pub(super) name: &'static str,
    /// Bits of one element; texts have none.
    pub(super) bits: u64,
}

impl DataType {
    pub(super) const FLOAT32: u64 = 1;
    pub(super) const STRING: u64 = 8;
    const COMPLEX: [u64; 2] = [14, 15];

    pub(super) fn of(code: u64) -> Option<Self> {
        let &(code, name, bits) = TYPES.iter().find(|(known, ..)| *known == code)?;
        Some(Self { code, name, bits })
    }

    pub(super) fn element(self) -> Element {
        match self.name {
            "float32" => Element::F32,
            "float16" => Element::F16,
            "float64" => Element::F64,
            "uint8" => Element::U8,
            "int32" => Element::I32,
            "int64" => Element::I64,
            "bool" => Element::Bool,
            other => Element::Other(other.to_owned()),
        }
    }

    /// Bytes of so many elements in `raw_data`.
    pub(super) fn raw_bytes(self, elements: u64) -> Option<u64> {
        Some(elements.checked_mul(self.bits)?.div_ceil(8))
    }

    /// Numbers of so many elements in the typed fields, where elements below eight bits share one
    /// and complex ones take two.
    pub(super) fn typed_numbers(self, elements: u64) -> Option<u64> {
        if Self::COMPLEX.contains(&self.code) {
            return elements.checked_mul(2);
        }
        if self.bits > 0 && self.bits < 8 {
            return self.raw_bytes(elements);
        }
        Some(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_onnx() {
        let bytes = |code, elements| DataType::of(code).unwrap().raw_bytes(elements);
        assert_eq!(bytes(1, 10), Some(40));
        assert_eq!(bytes(10, 10), Some(20));
        assert_eq!(bytes(22, 3), Some(2), "two to a byte, rounded up");
        assert_eq!(bytes(15, 1), Some(16));
        assert_eq!(bytes(1, u64::MAX), None, "no such memory");
        assert_eq!(DataType::of(0), None);
        assert_eq!(DataType::of(99), None);
    }

    #[test]
    fn typed_fields_hold_a_number_an_element_with_two_exceptions() {
        let numbers = |code| DataType::of(code).unwrap().typed_numbers(6);
        assert_eq!(numbers(7), Some(6));
        assert_eq!(numbers(14), Some(12));
        assert_eq!(numbers(21), Some(3));
    }

    #[test]
    fn what_kadr_has_no_name_for_keeps_onnx_name() {
        assert_eq!(DataType::of(1).unwrap().element(), Element::F32);
        let int8 = DataType::of(3).unwrap().element();
        assert_eq!(int8, Element::Other("int8".to_owned()));
    }
}
