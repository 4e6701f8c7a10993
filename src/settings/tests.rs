//! Tests of the settings as a whole.

mod documentation;
mod precedence;
mod problems;
mod reload;
mod secrets;
mod values;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A settings file in a directory of its own, an environment and flags.
struct Source {
    directory: TempDir,
    options: LoadOptions,
}

impl Source {
    /// A file with this text, and an environment that makes the empty file valid.
    fn file(text: &str) -> Self {
        let source = Self::empty().environment(&[("AWS_REGION", "us-east-1"), ("OUTCROP_API_KEY", "sk-test")]);
        source.with_file("outcrop.toml", text)
    }

    /// Nothing at all.
    fn empty() -> Self {
        let options =
            LoadOptions { file: None, search: Vec::new(), environment: Environment::default(), flags: Vec::new(), set: Vec::new() };
        Self { directory: tempfile::tempdir().unwrap(), options }
    }

    fn with_file(mut self, name: &str, text: &str) -> Self {
        self.options.file = Some(self.write(name, text));
        self
    }

    /// Puts a further file beside the settings file.
    fn beside(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Replaces the environment.
    fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.options.environment = variables.iter().copied().collect();
        self
    }

    fn set(mut self, assignment: &str) -> Self {
        self.options.set.push(assignment.to_owned());
        self
    }

    fn flag(mut self, name: &str, path: &str, value: &str) -> Self {
        self.options.flags.push(Flag { name: name.to_owned(), path: path.to_owned(), value: value.to_owned() });
        self
    }

    #[track_caller]
    fn load(&self) -> Settings {
        Settings::load(&self.options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The problems, one line each, without the directory.
    #[track_caller]
    fn problems(&self) -> Vec<String> {
        let error = Settings::load(&self.options).expect_err("there should be problems");
        let directory = format!("{}/", self.directory.path().display());
        error.to_string().replace(&directory, "").lines().map(str::to_owned).collect()
    }
}

/// The value in force as TOML, and who set it, without the directory.
#[track_caller]
fn entry(settings: &Settings, path: &str) -> (Option<String>, String) {
    let entry = settings.entries().iter().find(|entry| entry.path == path).unwrap_or_else(|| panic!("no setting `{path}`"));
    let origin = entry.origin.to_string();
    let origin = origin.rsplit('/').next().unwrap_or_default().to_owned();
    (entry.value.as_ref().map(ToString::to_string), origin)
}
