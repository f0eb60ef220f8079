//! Uploads of every kind through the intake, made by the tests themselves.

mod fixtures;
mod hostile;
mod jpeg;
mod limits;
mod orientation;
mod raster;
