//! `detector model list`.

use detector::model::repository::Repository;

use super::RepositoryArgs;

pub(super) fn list(args: &RepositoryArgs) -> anyhow::Result<()> {
    for listing in Repository::new(&args.models).list()? {
        let versions: Vec<String> = listing.versions.iter().map(u32::to_string).collect();
        println!("{:24} {}", listing.name, versions.join(" "));
    }
    Ok(())
}
