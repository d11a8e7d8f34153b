//! A call as a program in Python.

use super::{Snippet, environment};

impl Snippet {
    pub(super) fn python(&self) -> Result<String, String> {
        let peer = self.peer()?;
        // Without these, what every server understands.
        let is_extended = self.stream || self.access.tls.is_some() || self.token().is_some();
        let request = if is_extended { self.messages()? } else { self.marked_wire()? };
        let (mut request, host) = (environment::python(&request), environment::python(&peer.host));
        let mut modules = vec!["json", "socket"];
        if request.contains("json.dumps(") {
            request = format!("({request})");
        }
        if request.contains("os.environ[") {
            modules.insert(1, "os");
        }
        let timeout = format!(", timeout={}", self.timeout.as_secs_f64());
        let timeout = if self.stream { "" } else { &timeout };
        let mut server = format!("socket.create_connection(({host}, {}){timeout})", peer.port);
        let (mut before, mut first) = (String::new(), String::new());
        if let Some(tls) = &self.access.tls {
            modules.push("ssl");
            let text = |path: &String| serde_json::Value::from(path.as_str()).to_string();
            let ca = tls.ca.as_ref().map(|ca| format!("cafile={}", text(ca))).unwrap_or_default();
            before = format!("context = ssl.create_default_context({ca})\n");
            if let Some((cert, key)) = &tls.own {
                before += &format!("context.load_cert_chain({}, {})\n", text(cert), text(key));
            }
            server = format!("context.wrap_socket({server}, server_hostname={host})");
            if let Some(service) = self.service.name() {
                // It is listed by its service, and need not have the host in its certificate.
                before += "context.check_hostname = False\n";
                let uri = text(&format!("rpcd://service/{service}"));
                first = format!(
                    "    if (\"URI\", {uri}) not in server.getpeercert()[\"subjectAltName\"]:\n        \
                         raise SystemExit(\"the certificate is not that of the service\")\n"
                );
            }
        }
        let modules = modules.join(", ");
        let reply = match (self.stream, is_extended) {
            (true, _) => {
                "    for message in map(json.loads, server.makefile()):\n        \
                         if \"item\" not in message:\n            \
                             break\n        \
                         print(message[\"item\"])\n    \
                     else:\n        \
                         raise SystemExit(\"the connection was closed\")\n\
                 if \"error\" in message:\n    \
                     raise SystemExit(message[\"error\"][\"message\"])\n"
            }
            (false, true) => "    print(json.loads(server.makefile().readline()))\n",
            (false, false) => {
                "    server.shutdown(socket.SHUT_WR)\n    \
                     reply = b\"\".join(iter(lambda: server.recv(65536), b\"\"))\n\
                 print(json.loads(reply))\n"
            }
        };
        Ok(format!(
            "import {modules}\n\
             \n\
             {before}with {server} as server:\n\
             {first}    server.sendall({request}.encode())\n\
             {reply}"
        ))
    }
}
