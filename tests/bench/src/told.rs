//! A request as it is told to those that are compared: each has the contract's records in types of its own.

/// The same request in the types of this module.
macro_rules! told {
    ($types:ident, $request:expr) => {{
        let request = $request;
        let tls = || $types::Tls {
            mode: $types::TlsMode::Prefer,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        };
        let connection = request.connection.as_ref().map(|server| $types::Connection {
            host: server.host.clone(),
            port: server.port,
            database: server.database.clone(),
            tls: tls(),
        });
        $types::Request {
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            database_type: request.database_type.clone(),
            connection,
            bindings: request.bindings.clone(),
            server: None,
            settings: request.settings.clone(),
            config_dir: request.config_dir.clone(),
            scratch_dir: request.scratch_dir.clone(),
            facts: vec![],
        }
    }};
}
