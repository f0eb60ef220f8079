//! The annotation file of COCO's instance format, with a few fields of our own.

use serde::Serialize;

use crate::paint::PaintColor;
use crate::truth::{Class, DefectKind, Scene};

#[derive(Debug, Serialize)]
pub(crate) struct InstanceFile {
    info: Info,
    licenses: Vec<License>,
    categories: Vec<Category>,
    images: Vec<Picture>,
    annotations: Vec<Annotation>,
}

#[derive(Debug, Serialize)]
struct Info {
    description: String,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct License {
    id: u32,
    name: &'static str,
}

#[derive(Debug, Serialize)]
struct Category {
    id: u32,
    name: &'static str,
    supercategory: &'static str,
}

#[derive(Debug, Serialize)]
struct Picture {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
    license: u32,
}

#[derive(Debug, Serialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: u32,
    segmentation: Segmentation,
    area: u64,
    bbox: [f32; 4],
    iscrowd: u8,
    // From here on our own.
    color: PaintColor,
    track_id: u64,
    visible: f32,
    part_of: Option<u64>,
    defect_kind: Option<DefectKind>,
}

#[derive(Debug, Serialize)]
struct Segmentation {
    size: [u32; 2],
    counts: String,
}

impl InstanceFile {
    pub(crate) fn new(description: String) -> Self {
        let categories = Class::ALL.map(|class| Category {
            id: class.category_id(),
            name: class.name(),
            supercategory: if class == Class::Defect {
                "damage"
            } else {
                "part"
            },
        });
        Self {
            info: Info {
                description,
                version: env!("CARGO_PKG_VERSION"),
            },
            licenses: vec![License {
                id: 1,
                name: "Apache-2.0",
            }],
            categories: categories.into(),
            images: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// Adds a picture, ids counting from 1, and its instances.
    pub(crate) fn push(&mut self, file_name: String, scene: &Scene) {
        let image_id = self.images.len() as u64 + 1;
        self.images.push(Picture {
            id: image_id,
            file_name,
            width: scene.image.width(),
            height: scene.image.height(),
            license: 1,
        });
        for truth in &scene.instances {
            self.annotations.push(Annotation {
                id: self.annotations.len() as u64 + 1,
                image_id,
                category_id: truth.class.category_id(),
                segmentation: Segmentation {
                    size: truth.mask.size(),
                    counts: truth.mask.counts(),
                },
                area: truth.area,
                bbox: [truth.bbox.x, truth.bbox.y, truth.bbox.w, truth.bbox.h],
                iscrowd: 0,
                color: truth.color,
                track_id: truth.id,
                visible: truth.visible,
                part_of: truth.part_of,
                defect_kind: truth.defect_kind,
            });
        }
    }

    pub(crate) fn pictures(&self) -> usize {
        self.images.len()
    }

    pub(crate) fn instances(&self) -> usize {
        self.annotations.len()
    }
}
