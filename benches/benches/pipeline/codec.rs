//! The yardstick: libjpeg-turbo alone, decoding and encoding the same picture as the service, with the
//! service's settings and with all buffers used again.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use benches::measure::{Turn, cpu::Stopwatch, spread::percentile};
use detector::jpeg::{DEFAULT_QUALITY, SUBSAMPLING};
use turbojpeg::{Compressor, Decompressor, Image, PixelFormat};

use crate::pictures::Picture;

/// One thread's codec.
struct Codec {
    decompressor: Decompressor,
    compressor: Compressor,
    pixels: Vec<u8>,
    jpeg: Vec<u8>,
}

impl Codec {
    fn for_picture(picture: &Picture) -> Self {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let mut compressor = Compressor::new().expect("a compressor");
        let set = compressor.set_quality(DEFAULT_QUALITY.into());
        set.and_then(|()| compressor.set_subsamp(SUBSAMPLING))
            .expect("usual settings");
        let room = compressor.buf_len(width, height).expect("a usual size");
        Self {
            decompressor: Decompressor::new().expect("a decompressor"),
            compressor,
            pixels: vec![0; width * height * 3],
            jpeg: vec![0; room],
        }
    }

    fn decode_and_encode(&mut self, picture: &Picture) {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let (pitch, format) = (width * 3, PixelFormat::RGB);
        let into = Image {
            pixels: self.pixels.as_mut_slice(),
            width,
            pitch,
            height,
            format,
        };
        self.decompressor
            .decompress(&picture.jpeg, into)
            .expect("a good picture");
        self.encode(picture);
    }

    fn encode(&mut self, picture: &Picture) {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let (pitch, format) = (width * 3, PixelFormat::RGB);
        let from = Image {
            pixels: self.pixels.as_slice(),
            width,
            pitch,
            height,
            format,
        };
        let length = self.compressor.compress_to_slice(from, &mut self.jpeg);
        black_box(length.expect("enough room"));
    }
}

/// CPU milliseconds a picture, with every core at work as it is while a service is loaded.
pub(crate) fn turn(picture: &Picture, count: usize) -> Turn {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let each = count.div_ceil(threads);
    let used: Duration = thread::scope(|scope| {
        let run = || {
            let mut codec = Codec::for_picture(picture);
            codec.decode_and_encode(picture);
            let work = Stopwatch::of_thread();
            for _ in 0..each {
                codec.decode_and_encode(picture);
            }
            work.elapsed()
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    let milliseconds = used.as_secs_f64() * 1e3 / (each * threads) as f64;
    Turn::of(milliseconds).with("codec_cpu_ms", milliseconds)
}

/// CPU milliseconds to encode a picture, on one core.
pub(crate) fn encode_ms(picture: &Picture, count: usize) -> f64 {
    let mut codec = Codec::for_picture(picture);
    codec.decode_and_encode(picture);
    let work = Stopwatch::of_thread();
    for _ in 0..count {
        codec.encode(picture);
    }
    work.elapsed().as_secs_f64() * 1e3 / count as f64
}

/// Half of all pictures take less than this many milliseconds, one after another.
pub(crate) fn median_ms(picture: &Picture, count: usize) -> f64 {
    let mut codec = Codec::for_picture(picture);
    let times: Vec<f64> = (0..count)
        .map(|_| {
            let begin = Instant::now();
            codec.decode_and_encode(picture);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    percentile(&times, 0.5)
}
