//! Builders of a plugin's description.

use crate::{Binding, Description, Fact, Image};

impl Description {
    /// `id` is unique among all plugins (a third party's ends with a domain of theirs), `version` semantic,
    /// `summary` one line.
    pub fn new(id: impl Into<String>, version: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            version: version.into(),
            summary: summary.into(),
            database_types: Vec::new(),
            default_port: None,
            bindings: Vec::new(),
            images: Vec::new(),
            settings_schema: r#"{"type": "object", "additionalProperties": false}"#.to_owned(),
            labels: Vec::new(),
        }
    }

    /// Values of `spec.databaseType` that it serves.
    #[must_use]
    pub fn database_types<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.database_types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Where such a server listens.
    #[must_use]
    pub fn default_port(mut self, port: u16) -> Self {
        self.default_port = Some(port);
        self
    }

    /// One more secret value that it can use.
    #[must_use]
    pub fn binding(mut self, binding: Binding) -> Self {
        self.bindings.push(binding);
        self
    }

    /// One more image that plans may name.
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// JSON Schema 2020-12 of `spec.settings`. Without it no setting is allowed.
    #[must_use]
    pub fn settings_schema(mut self, schema: impl Into<String>) -> Self {
        self.settings_schema = schema.into();
        self
    }

    /// One more label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push(Fact { key: key.into(), value: value.into() });
        self
    }
}

impl Binding {
    /// A value that is taken from the credentials' Secret even where the user maps no key to it.
    pub fn required(name: impl Into<String>, summary: impl Into<String>) -> Self {
        Self { name: name.into(), required: true, summary: summary.into() }
    }

    /// A value that is supplied only where the user maps a key to it.
    pub fn optional(name: impl Into<String>, summary: impl Into<String>) -> Self {
        Self { name: name.into(), required: false, summary: summary.into() }
    }
}

impl Image {
    /// `name` is how plans name it, `reference` the full image reference.
    pub fn new(name: impl Into<String>, reference: impl Into<String>) -> Self {
        Self { name: name.into(), reference: reference.into(), server_versions: None }
    }

    /// Server versions that it can dump, for example `>=9.2, <19`.
    #[must_use]
    pub fn server_versions(mut self, range: impl Into<String>) -> Self {
        self.server_versions = Some(range.into());
        self
    }
}
