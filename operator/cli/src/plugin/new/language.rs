//! What an author needs and does, in each language.

use clap::ValueEnum;

/// A language with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// With the SDK: a trait and one macro.
    Rust,
    /// By QuickJS; the plugin is some 1.1 MB.
    Javascript,
    /// The usual Go compiler; the plugin is some 3.5 MB.
    Go,
}

/// One way to build. Texts have the placeholders of the templates.
pub(super) struct Kit {
    /// Every tool, a line each.
    pub tools: &'static str,
    /// Commands that leave `NAME.wasm` in the project's folder.
    pub build: &'static str,
    /// What to change first.
    pub edit: &'static str,
    /// Where the settings schema is, if it is a file.
    pub schema: Option<&'static str>,
}

impl Language {
    /// Folder of its own templates.
    pub(super) fn templates(self) -> &'static str {
        match self {
            Self::Rust => "rust/",
            Self::Javascript => "javascript/",
            Self::Go => "go/",
        }
    }

    /// None: there is no such way to build.
    pub(super) fn kit(self, component: bool) -> Option<Kit> {
        match (self, component) {
            (Self::Rust, false) => Some(Kit {
                tools: "- Rust 1.95 or newer, by rustup, and its target: `rustup target add wasm32-wasip2`",
                build: "cargo build --release --target wasm32-wasip2\n\
                        cp target/wasm32-wasip2/release/__snake___plugin.wasm __name__.wasm\n",
                ..RUST
            }),
            // The tool writes files that only their owner may read.
            (Self::Rust, true) => Some(Kit {
                tools: "- Rust 1.95 or newer, by rustup, and its target: `rustup target add wasm32-wasip1`\n\
                        - cargo-component: `cargo install --locked --version 0.21.1 cargo-component`",
                build: "cargo component build --release\n\
                        install -m 0644 target/wasm32-wasip1/release/__snake___plugin.wasm __name__.wasm\n",
                ..RUST
            }),
            (Self::Javascript, false) => Some(Kit {
                tools: "- Node.js 18 or newer, with npm",
                build: "npm install\nnpm run build\n",
                edit: "plugin.js is what you write, settings.js what users may set.",
                schema: None,
            }),
            (Self::Go, false) => Some(Kit {
                tools: "- Go 1.26 or newer (https://go.dev/dl)",
                build: "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-checklinkname=0 -s -w' -o core.wasm .\n\
                        kubectl dbbackup plugin link core.wasm --output __name__.wasm\n",
                edit: "What you write is in export_db_backup_plugin_descriptor and export_db_backup_plugin_backup; the rest is \
                       generated from wit/ by `kubectl dbbackup plugin bindings`.",
                schema: Some("export_db_backup_plugin_descriptor/settings.schema.json"),
            }),
            (Self::Javascript | Self::Go, true) => None,
        }
    }
}

/// What both ways of Rust share.
const RUST: Kit = Kit {
    tools: "",
    build: "",
    edit: "src/lib.rs is what you write, settings.schema.json what users may set.",
    schema: Some("settings.schema.json"),
};
