//! Pooled regions against torchvision's, and against one sample after another.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const FIXTURE: &str = include_str!("../../../../tests/fixtures/roi.json");

/// What `make_roi_fixtures.py` writes.
#[derive(Deserialize)]
struct Golden {
    boxes: Vec<f32>,
    pooled: Vec<GoldenPool>,
    sides: Vec<f32>,
    levels: Vec<usize>,
}

#[derive(Deserialize)]
struct GoldenPool {
    size: usize,
    sampling: usize,
    aligned: bool,
    values: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(FIXTURE).unwrap()
}

fn corners_of(edges: &[f32]) -> Corners {
    Corners {
        x0: edges[0],
        y0: edges[1],
        x1: edges[2],
        y1: edges[3],
    }
}

/// The features of the fixture's script.
fn features(channels: usize, height: usize, width: usize) -> Tensor<'static, f32> {
    let cells = (0..channels * height * width).map(|at| {
        let (channel, row, column) = (at / width / height, at / width % height, at % width);
        ((37 * channel + 11 * row + 23 * column) % 29) as f32
    });
    Tensor::new([channels, height, width], cells.collect::<Vec<f32>>())
}

fn pooling(size: usize, sampling: usize, is_aligned: bool) -> Pooling {
    Pooling {
        size,
        sampling,
        is_aligned,
        rule: LevelRule {
            canonical_side: 224.0,
            canonical_level: 4,
            first_level: 4,
            levels: 1,
        },
    }
}

fn one_level(stride: usize) -> Vec<Features> {
    vec![Features {
        output: "p2".to_owned(),
        stride,
    }]
}

fn assert_close(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (found - wanted).abs() < 1e-3,
            "{index}: {found}, not {wanted}"
        );
    }
}

#[test]
fn regions_are_what_torchvision_pools() {
    let golden = golden();
    let regions: Vec<Corners> = golden.boxes.chunks_exact(4).map(corners_of).collect();
    let mut memory = PoolMemory::default();
    assert_eq!(golden.pooled.len(), 4);
    for GoldenPool {
        size,
        sampling,
        aligned,
        values,
    } in golden.pooled
    {
        let tensors = vec![features(3, 9, 13)];
        let mut pyramid = Pyramid::new(&one_level(4), tensors, &mut memory).unwrap();
        let pooling = pooling(size, sampling, aligned);
        assert_eq!(pyramid.shape(8, &pooling), [8, 3, size, size]);
        assert_close(pyramid.pool(&regions, &pooling), &values);
        assert!(pyramid.pool(&[], &pooling).is_empty());
    }
}

#[test]
fn boxes_are_pooled_from_the_level_that_torchvision_takes() {
    let golden = golden();
    let rule = LevelRule {
        canonical_side: 224.0,
        canonical_level: 4,
        first_level: 2,
        levels: 4,
    };
    assert_eq!(golden.sides.len(), golden.levels.len());
    for (side, level) in golden.sides.into_iter().zip(golden.levels) {
        let square = corners_of(&[0.0, 0.0, side, side]);
        assert_eq!(rule.level_of(square), level, "{side}");
    }
    assert_eq!(rule.level_of(corners_of(&[5.0; 4])), 0, "a point");
}

#[test]
fn each_region_comes_from_its_level_and_a_new_picture_shows_nothing_of_the_last() {
    let about: Vec<Features> = [1, 2].into_iter().flat_map(one_level).collect();
    let plain = |value: f32, height, width| {
        Tensor::new([20, height, width], vec![value; 20 * height * width])
    };
    let mut pooling = pooling(1, 2, false);
    pooling.rule = LevelRule {
        canonical_side: 4.0,
        canonical_level: 3,
        first_level: 2,
        levels: 2,
    };
    let regions = [[0.0, 0.0, 3.0, 3.0], [0.0, 0.0, 4.0, 4.0]].map(|edges| corners_of(&edges));
    let mut memory = PoolMemory::default();
    for (fine, coarse) in [(1.0, 2.0), (3.0, 4.0)] {
        let tensors = vec![plain(fine, 8, 8), plain(coarse, 4, 4)];
        let mut pyramid = Pyramid::new(&about, tensors, &mut memory).unwrap();
        let wanted: Vec<f32> = [[fine; 20], [coarse; 20]].concat();
        assert_eq!(pyramid.pool(&regions, &pooling), wanted);
    }
}

#[test]
fn other_shapes_are_refused() {
    let mut memory = PoolMemory::default();
    let about: Vec<Features> = [1, 2].into_iter().flat_map(one_level).collect();
    for second in [
        features(4, 2, 2),
        Tensor::new([3, 4], vec![0.0; 12]),
        Tensor::new([3, 0, 2], Vec::new()),
        Tensor::new([3, 2, 2], vec![0.0; 11]),
    ] {
        let tensors = vec![features(3, 2, 2), second];
        let error = Pyramid::new(&about, tensors, &mut memory).unwrap_err();
        assert!(error.to_string().contains("[3, rows, columns]"), "{error}");
    }
    let scalar = vec![Tensor::new([], vec![1.0])];
    Pyramid::new(&one_level(1), scalar, &mut memory).unwrap_err();
}

/// As the definition says: the average of samples, each between four features.
fn one_by_one(
    features: &Tensor<'_, f32>,
    corners: Corners,
    pooling: &Pooling,
    stride: f32,
) -> Vec<f32> {
    let [channels, height, width] = features.shape[..] else {
        panic!("no planes");
    };
    let offset = if pooling.is_aligned { 0.5 } else { 0.0 };
    let spanned = |near: f32, far: f32| {
        let start = near / stride - offset;
        let length = far / stride - offset - start;
        (
            start,
            if pooling.is_aligned {
                length
            } else {
                length.max(1.0)
            },
        )
    };
    let (left, across) = spanned(corners.x0, corners.x1);
    let (top, down) = spanned(corners.y0, corners.y1);
    let samples = pooling.size * pooling.sampling;
    let at = |start: f32, length: f32, index: usize| {
        start + (index as f32 + 0.5) * length / samples as f32
    };
    let mut cells = vec![0.0; channels * pooling.size * pooling.size];
    for (channel, row, column) in (0..channels * samples * samples).map(|index| {
        (
            index / samples / samples,
            index / samples % samples,
            index % samples,
        )
    }) {
        let (y, x) = (at(top, down, row), at(left, across, column));
        if !(-1.0..=height as f32).contains(&y) || !(-1.0..=width as f32).contains(&x) {
            continue;
        }
        let feature =
            |row: usize, column: usize| features.values[(channel * height + row) * width + column];
        let (y, x) = (
            y.clamp(0.0, height as f32 - 1.0),
            x.clamp(0.0, width as f32 - 1.0),
        );
        let (low_y, low_x) = (y as usize, x as usize);
        let (high_y, high_x) = ((low_y + 1).min(height - 1), (low_x + 1).min(width - 1));
        let (dy, dx) = (y - low_y as f32, x - low_x as f32);
        let above = feature(low_y, low_x) * (1.0 - dx) + feature(low_y, high_x) * dx;
        let below = feature(high_y, low_x) * (1.0 - dx) + feature(high_y, high_x) * dx;
        let (row, column) = (row / pooling.sampling, column / pooling.sampling);
        cells[(channel * pooling.size + row) * pooling.size + column] +=
            (above * (1.0 - dy) + below * dy) / (pooling.sampling * pooling.sampling) as f32;
    }
    cells
}

proptest! {
    #[test]
    fn two_passes_give_what_samples_one_by_one_give(
        (channels, height, width) in (1_usize..40, 1_usize..12, 1_usize..12),
        (size, sampling, is_aligned) in (1_usize..8, 1_usize..4, any::<bool>()),
        // Quarters of pixels, so that no rounding decides whether a sample is outside.
        edges in prop::array::uniform4(-40_i16..260),
    ) {
        let edges = edges.map(|quarters| f32::from(quarters) / 4.0);
        let corners = Corners {
            x0: edges[0].min(edges[2]),
            y0: edges[1].min(edges[3]),
            x1: edges[0].max(edges[2]),
            y1: edges[1].max(edges[3]),
        };
        let pooling = pooling(size, sampling, is_aligned);
        let features = features(channels, height, width);
        let wanted = one_by_one(&features, corners, &pooling, 4.0);
        let mut memory = PoolMemory::default();
        let mut pyramid = Pyramid::new(&one_level(4), vec![features], &mut memory).unwrap();
        let found = pyramid.pool(&[corners], &pooling);
        prop_assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            // A sample at the very border may be outside for one and inside for the other.
            prop_assert!((found - wanted).abs() < 2e-3, "{} {}", found, wanted);
        }
    }

    #[test]
    fn rows_become_columns((rows, columns) in (1_usize..40, 1_usize..40)) {
        let source: Vec<f32> = (0..rows * columns).map(|value| value as f32).collect();
        let (mut turned, mut back) = (vec![0.0; source.len()], vec![0.0; source.len()]);
        transpose(&source, (rows, columns), &mut turned);
        prop_assert_eq!(&turned[(columns - 1) * rows..][..1], &source[columns - 1..][..1]);
        transpose(&turned, (columns, rows), &mut back);
        prop_assert_eq!(back, source);
    }
}
