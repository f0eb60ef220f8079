//! Embeds the pages anew when a file is added to their folder or taken away.

fn main() {
    println!("cargo::rerun-if-changed=pages");
}
