//! What a belt promises: the same pixels for the same frame, and a truth that fits them.

use std::collections::{HashMap, HashSet};

use belt::{Belt, BeltConfig, BeltError, Class, DefectKind, PaintColor, Scene, Truth};

fn belt(config: BeltConfig) -> Belt {
    Belt::new(config).expect("a valid configuration")
}

fn small(seed: u64) -> BeltConfig {
    BeltConfig {
        seed,
        width: 320,
        height: 240,
        ..BeltConfig::default()
    }
}

/// FNV-1a over the pixels.
fn checksum(scene: &Scene) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    scene.image.iter().fold(start, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn is_part(truth: &Truth) -> bool {
    truth.class != Class::Defect
}

fn is_whole(truth: &Truth) -> bool {
    truth.visible >= 1.0
}

#[test]
fn a_frame_does_not_depend_on_the_frames_before_it() {
    let mut forwards = belt(small(3));
    let mut backwards = belt(small(3));
    let frames = [0, 1, 2, 75, 76, 300, 5000];
    let drawn: Vec<Scene> = frames.iter().map(|&frame| forwards.scene(frame)).collect();
    for (&frame, first) in frames.iter().zip(&drawn).rev() {
        let second = backwards.scene(frame);
        assert_eq!(first.image, second.image, "frame {frame}");
        assert_eq!(first.instances.len(), second.instances.len());
        for (one, other) in first.instances.iter().zip(&second.instances) {
            assert_eq!((one.id, &one.mask), (other.id, &other.mask));
        }
    }
}

#[test]
fn seeds_frames_and_machines_are_told_apart_by_nothing_but_their_numbers() {
    // Other checksums mean that every machine draws other pictures than before: data sets and
    // results measured on them are no longer comparable.
    let drawn = [
        checksum(&belt(small(1)).scene(0)),
        checksum(&belt(small(2)).scene(40)),
    ];
    assert_eq!(drawn, GOLDEN_CHECKSUMS);
    assert_ne!(
        checksum(&belt(small(1)).scene(0)),
        checksum(&belt(small(2)).scene(0))
    );
    assert_ne!(
        checksum(&belt(small(1)).scene(0)),
        checksum(&belt(small(1)).scene(1))
    );
}

const GOLDEN_CHECKSUMS: [u64; 2] = [4_301_003_170_964_163_385, 872_308_744_307_018_243];

#[test]
fn parts_cross_the_frame_and_keep_their_ids() {
    let mut belt = belt(small(5));
    let mut seen: HashMap<u64, Vec<(u64, Truth)>> = HashMap::new();
    for frame in 0..450 {
        let scene = belt.scene(frame);
        let ids: HashSet<u64> = scene.instances.iter().map(|truth| truth.id).collect();
        assert_eq!(
            ids.len(),
            scene.instances.len(),
            "an id is used twice in frame {frame}"
        );
        for truth in scene.instances {
            seen.entry(truth.id).or_default().push((frame, truth));
        }
    }
    let mut crossed = 0;
    for track in seen.values() {
        for pair in track.windows(2) {
            let ((frame, before), (next_frame, after)) = (&pair[0], &pair[1]);
            assert_eq!(frame + 1, *next_frame, "an object vanished for a while");
            assert_eq!((before.class, before.color), (after.class, after.color));
            assert!(
                after.bbox.x >= before.bbox.x,
                "an object moved against the belt"
            );
            if is_whole(before) && is_whole(after) {
                assert_eq!(before.area, after.area);
                assert!((after.bbox.x - before.bbox.x - 2.0).abs() < f32::EPSILON);
            }
        }
        let (first, last) = (&track[0].1.bbox, &track[track.len() - 1].1.bbox);
        crossed += u32::from(first.x < 0.5 && last.x + last.w > 319.5);
    }
    assert!(crossed >= 5, "only {crossed} objects crossed the frame");
}

#[test]
fn masks_boxes_and_areas_agree_and_parts_never_share_a_pixel() {
    for seed in 0..12 {
        let config = BeltConfig {
            density: 0.9,
            ..small(seed)
        };
        let scene = belt(config).scene(seed * 31);
        for truth in &scene.instances {
            assert_eq!(truth.mask.size(), [240, 320]);
            assert_eq!(u64::from(truth.mask.area()), truth.area);
            assert_eq!(truth.mask.bbox(), truth.bbox);
            assert!((0.1..=1.0).contains(&truth.visible));
        }
        let parts: Vec<&Truth> = scene
            .instances
            .iter()
            .filter(|truth| is_part(truth))
            .collect();
        for (index, one) in parts.iter().enumerate() {
            for other in &parts[index + 1..] {
                assert_eq!(one.mask.intersection_area(&other.mask), Ok(0));
            }
        }
    }
}

#[test]
fn a_defect_lies_on_its_part() {
    let mut found = 0;
    for seed in 0..12 {
        let config = BeltConfig {
            defect_rate: 1.0,
            ..small(seed)
        };
        let scene = belt(config).scene(0);
        for defect in scene
            .instances
            .iter()
            .filter(|truth| truth.class == Class::Defect)
        {
            let kind = defect.defect_kind.expect("a defect has a kind");
            let Some(part) = scene
                .instances
                .iter()
                .find(|truth| Some(truth.id) == defect.part_of)
            else {
                continue;
            };
            let shared = part
                .mask
                .intersection_area(&defect.mask)
                .expect("masks of one frame");
            if kind == DefectKind::MissingTooth {
                assert_eq!(part.class, Class::Gear);
                assert!(
                    u64::from(shared) < defect.area,
                    "the gap is not part of the gear"
                );
            } else {
                assert_eq!(
                    u64::from(shared),
                    defect.area,
                    "{kind:?} reaches over its part"
                );
            }
            found += 1;
        }
    }
    assert!(found > 40, "only {found} defects on 12 belts");
}

#[test]
fn every_class_color_and_defect_appears() {
    let (mut classes, mut colors, mut kinds) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut parts = 0;
    for seed in 0..40 {
        let config = BeltConfig {
            width: 160,
            height: 120,
            ..small(seed)
        };
        let scene = belt(config).scene(0);
        for truth in &scene.instances {
            classes.insert(truth.class);
            colors.insert(truth.color);
            kinds.extend(truth.defect_kind);
        }
        parts += scene
            .instances
            .iter()
            .filter(|truth| is_part(truth))
            .count();
    }
    assert_eq!(classes.len(), Class::ALL.len(), "{classes:?}");
    assert_eq!(colors.len(), PaintColor::ALL.len(), "{colors:?}");
    assert_eq!(kinds.len(), DefectKind::ALL.len(), "{kinds:?}");
    assert!((120..360).contains(&parts), "{parts} parts in 40 pictures");
}

#[test]
fn parts_have_the_color_they_are_said_to_have() {
    let (mut right, mut all) = (0, 0);
    for seed in 0..20 {
        let config = BeltConfig {
            defect_rate: 0.0,
            ..small(seed)
        };
        let scene = belt(config).scene(0);
        for truth in scene.instances.iter().filter(|truth| truth.visible > 0.5) {
            // Springs are half shadow, and the plain tones have no hue to compare.
            let vivid = &PaintColor::ALL[..6];
            if truth.class == Class::Spring || !vivid.contains(&truth.color) {
                continue;
            }
            let mean = mean_color(&scene, truth);
            let closest = vivid.iter().min_by(|one, other| {
                hue_distance(mean, one.rgb()).total_cmp(&hue_distance(mean, other.rgb()))
            });
            right += u32::from(closest == Some(&truth.color));
            all += 1;
        }
    }
    assert!(all > 30, "only {all} vivid parts");
    assert!(
        right * 20 >= all * 19,
        "{right} of {all} parts have the colour of their name"
    );
}

fn mean_color(scene: &Scene, truth: &Truth) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for (pixel, set) in scene.image.pixels().zip(truth.mask.to_bitmap()) {
        for (total, level) in sum.iter_mut().zip(pixel.0) {
            *total += f32::from(level) * f32::from(set);
        }
    }
    sum.map(|total| total / truth.area as f32)
}

/// How far apart two colours are when brightness does not count.
fn hue_distance(mean: [f32; 3], paint: [u8; 3]) -> f32 {
    let paint = paint.map(f32::from);
    let (one, other) = (mean.iter().sum::<f32>(), paint.iter().sum::<f32>());
    mean.iter()
        .zip(paint)
        .map(|(a, b)| (a / one - b / other).powi(2))
        .sum()
}

#[test]
fn every_size_from_160x120_to_4k_works() {
    for (width, height) in [
        (160, 120),
        (120, 640),
        (641, 479),
        (1920, 240),
        (3840, 2160),
    ] {
        let config = BeltConfig {
            width,
            height,
            ..BeltConfig::default()
        };
        let scene = belt(config).scene(10);
        assert_eq!(scene.image.dimensions(), (width, height));
        assert!(
            !scene.instances.is_empty(),
            "nothing on a belt of {width}x{height}"
        );
    }
}

#[test]
fn an_empty_belt_and_a_late_frame_are_drawn_too() {
    assert!(
        belt(BeltConfig {
            density: 0.0,
            ..small(1)
        })
        .scene(3)
        .instances
        .is_empty()
    );
    assert!(!belt(small(1)).scene(1 << 40).instances.is_empty());
    belt(small(1)).scene(u64::MAX);
}

#[test]
fn impossible_configurations_are_refused_with_a_reason() {
    let refuse = |config: BeltConfig| {
        Belt::new(config)
            .err()
            .expect("must be refused")
            .to_string()
    };
    let error = refuse(BeltConfig {
        width: 100,
        ..BeltConfig::default()
    });
    assert!(
        error.contains("100x480") && error.contains("120 to 4096"),
        "{error}"
    );
    assert!(
        refuse(BeltConfig {
            height: 5000,
            ..BeltConfig::default()
        })
        .contains("640x5000")
    );
    let cases = [
        (
            "fps",
            BeltConfig {
                fps: 0.0,
                ..BeltConfig::default()
            },
        ),
        (
            "fps",
            BeltConfig {
                fps: f32::NAN,
                ..BeltConfig::default()
            },
        ),
        (
            "speed",
            BeltConfig {
                speed: -1.0,
                ..BeltConfig::default()
            },
        ),
        (
            "density",
            BeltConfig {
                density: 1.5,
                ..BeltConfig::default()
            },
        ),
        (
            "defect_rate",
            BeltConfig {
                defect_rate: f32::INFINITY,
                ..BeltConfig::default()
            },
        ),
        (
            "exposure_s",
            BeltConfig {
                exposure_s: 2.0,
                ..BeltConfig::default()
            },
        ),
        (
            "sensor_noise",
            BeltConfig {
                sensor_noise: 99.0,
                ..BeltConfig::default()
            },
        ),
    ];
    for (field, config) in cases {
        let error = Belt::new(config).err();
        assert!(
            matches!(error, Some(BeltError::OutOfRange { name, .. }) if name == field),
            "{field}: {error:?}"
        );
    }
}
