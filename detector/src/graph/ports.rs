//! Inputs and outputs as the file declares them.

use std::io::{Read, Seek};

use super::element::DataType;
use super::wire::{Block, Wire, WireError};
use super::{MAX_NAME_BYTES, MAX_RANK};
use crate::model::signature::{Dim, Element, Port};

mod fields {
    pub(super) const VALUE_NAME: u32 = 1;
    pub(super) const VALUE_TYPE: u32 = 2;
    pub(super) const TENSOR: u32 = 1;
    pub(super) const SEQUENCE: u32 = 4;
    pub(super) const MAP: u32 = 5;
    pub(super) const OPAQUE: u32 = 7;
    pub(super) const SPARSE_TENSOR: u32 = 8;
    pub(super) const OPTIONAL: u32 = 9;
    pub(super) const ELEMENT: u32 = 1;
    pub(super) const SHAPE: u32 = 2;
    pub(super) const DIMENSION: u32 = 1;
    pub(super) const LENGTH: u32 = 1;
    pub(super) const SYMBOL: u32 = 2;
}

/// A `ValueInfoProto`. What declares no type at all is `undefined`.
pub(super) fn port<R: Read + Seek>(wire: &mut Wire<R>, block: Block) -> Result<Port, WireError> {
    let mut port = Port {
        name: String::new(),
        element: Element::Other("undefined".to_owned()),
        shape: None,
    };
    let mut value = wire.enter(block)?;
    while let Some(field) = wire.next_field(&mut value)? {
        match field.number {
            fields::VALUE_NAME => port.name = wire.text(field.to_block()?, MAX_NAME_BYTES)?,
            fields::VALUE_TYPE => value_type(wire, field.to_block()?, &mut port)?,
            _ => {}
        }
    }
    Ok(port)
}

fn value_type<R: Read + Seek>(
    wire: &mut Wire<R>,
    block: Block,
    port: &mut Port,
) -> Result<(), WireError> {
    let mut kinds = wire.enter(block)?;
    while let Some(field) = wire.next_field(&mut kinds)? {
        let other = match field.number {
            fields::TENSOR => {
                tensor_type(wire, field.to_block()?, port)?;
                continue;
            }
            fields::SEQUENCE => "sequence",
            fields::MAP => "map",
            fields::OPAQUE => "opaque",
            fields::SPARSE_TENSOR => "sparse tensor",
            fields::OPTIONAL => "optional",
            _ => continue,
        };
        port.element = Element::Other(other.to_owned());
    }
    Ok(())
}

fn tensor_type<R: Read + Seek>(
    wire: &mut Wire<R>,
    block: Block,
    port: &mut Port,
) -> Result<(), WireError> {
    let mut tensor = wire.enter(block)?;
    while let Some(field) = wire.next_field(&mut tensor)? {
        match field.number {
            fields::ELEMENT => {
                let code = field.to_number()?;
                port.element = DataType::of(code)
                    .map_or_else(|| Element::Other(format!("type {code}")), DataType::element);
            }
            fields::SHAPE => port.shape = Some(shape(wire, field.to_block()?)?),
            _ => {}
        }
    }
    Ok(())
}

fn shape<R: Read + Seek>(wire: &mut Wire<R>, block: Block) -> Result<Vec<Dim>, WireError> {
    let mut dimensions = Vec::new();
    let mut shape = wire.enter(block)?;
    while let Some(field) = wire.next_field(&mut shape)? {
        if field.number != fields::DIMENSION {
            continue;
        }
        if dimensions.len() == MAX_RANK {
            return Err(WireError::TooMuch {
                what: "dimensions of one tensor",
                limit: MAX_RANK as u64,
            });
        }
        dimensions.push(dimension(wire, field.to_block()?)?);
    }
    Ok(dimensions)
}

/// Some exporters write an open dimension as -1, some as an empty name, some as nothing.
fn dimension<R: Read + Seek>(wire: &mut Wire<R>, block: Block) -> Result<Dim, WireError> {
    let mut dimension = Dim::Free(None);
    let mut message = wire.enter(block)?;
    while let Some(field) = wire.next_field(&mut message)? {
        match field.number {
            fields::LENGTH => {
                let length = field.to_number()?.cast_signed();
                dimension = usize::try_from(length).map_or(Dim::Free(None), Dim::Fixed);
            }
            fields::SYMBOL => {
                let name = wire.text(field.to_block()?, MAX_NAME_BYTES)?;
                dimension = Dim::Free(Some(name).filter(|name| !name.is_empty()));
            }
            _ => {}
        }
    }
    Ok(dimension)
}
