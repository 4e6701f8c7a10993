//! A Dockerfile as its instructions, stage by stage.

/// A stage: what it is made from, and its instructions.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) instructions: Vec<(String, String)>,
}

impl Stage {
    /// What stands behind the last instruction of this kind: earlier ones do not count.
    pub(crate) fn last(&self, kind: &str) -> Option<&str> {
        self.instructions.iter().rev().find(|(instruction, _)| instruction == kind).map(|(_, rest)| rest.as_str())
    }

    pub(crate) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.instructions.iter().filter(move |(instruction, _)| instruction == kind).map(|(_, rest)| rest.as_str())
    }

    /// The words of a `["a", "b"]`; a shell's form is none.
    pub(crate) fn words(&self, kind: &str) -> Option<Vec<String>> {
        words(self.last(kind)?)
    }
}

/// The words of an instruction in its form for programs, options before it left out.
pub(crate) fn words(rest: &str) -> Option<Vec<String>> {
    let list = &rest[rest.find('[')?..];
    serde_json::from_str(list).ok()
}

/// Reads the stages.
pub(crate) fn stages(text: &str) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for line in joined(text) {
        let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let rest = rest.trim().to_owned();
        if instruction == "FROM" {
            let mut words = rest.split_whitespace();
            let from = words.next().unwrap().to_owned();
            assert_eq!(words.next(), Some("AS"), "every stage has a name: {rest}");
            stages.push(Stage { name: words.next().unwrap().to_owned(), from, instructions: Vec::new() });
        } else {
            stages.last_mut().expect("the first instruction is FROM").instructions.push((instruction.to_owned(), rest));
        }
    }
    stages
}

/// Lines without comments, continued ones made whole.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        open.push_str(line.trim_end_matches('\\'));
        if !line.ends_with('\\') {
            lines.push(std::mem::take(&mut open));
        }
    }
    assert_eq!(open, "", "the last line is continued");
    lines
}

/// Why an image's name is not pinned: it must have a version and a digest.
pub(crate) fn unpinned(image: &str) -> Option<String> {
    let complaint = |what: &str| Some(format!("{image}: {what}"));
    let Some((named, digest)) = image.split_once("@sha256:") else { return complaint("no digest") };
    if digest.len() != 64 || !digest.chars().all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit)) {
        return complaint("no digest is written like that");
    }
    let tag = named.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("", |(_, tag)| tag);
    // Two dots: a version to its last part, not a line of versions.
    (tag.split('-').next().unwrap_or_default().matches('.').count() != 2).then(|| format!("{image}: `{tag}` is no whole version"))
}

#[test]
fn stages_are_read_with_continued_lines_and_without_comments() {
    let stages = stages(
        "# c\nFROM a:1 AS b\nRUN x \\\n  # c\n  && y\nFROM scratch AS z\nUSER 1\nUSER 2:3\nHEALTHCHECK --retries=3 CMD [\"/p\", \"q\"]\n",
    );
    assert_eq!(stages.iter().map(|stage| (stage.from.as_str(), stage.name.as_str())).collect::<Vec<_>>(), [("a:1", "b"), ("scratch", "z")]);
    assert_eq!(stages[0].last("RUN"), Some("x && y"));
    assert_eq!(stages[1].last("USER"), Some("2:3"));
    assert_eq!(stages[1].words("HEALTHCHECK"), Some(vec!["/p".to_owned(), "q".to_owned()]));
    assert_eq!(words("CMD curl localhost"), None);
}

#[test]
fn images_without_version_or_digest_are_told() {
    let digest = "0".repeat(64);
    assert_eq!(unpinned(&format!("a/b:v1.2.3-alpine@sha256:{digest}")), None);
    for bad in [
        "a".to_owned(),
        "a:1.2.3".to_owned(),
        format!("a:latest@sha256:{digest}"),
        format!("a:1.2@sha256:{digest}"),
        "a:1.2.3@sha256:12".to_owned(),
    ] {
        assert!(unpinned(&bad).is_some(), "{bad}");
    }
}
