//! A call as a program in Python.

use super::{Snippet, environment};

impl Snippet {
    pub(super) fn python(&self) -> Result<String, String> {
        let peer = self.peer()?;
        let request = self.marked_wire()?;
        let (request, host) = (environment::python(&request), environment::python(&peer.host));
        let (modules, request) = match request.contains("os.environ[") {
            true => ("json, os, socket", format!("({request})")),
            false => ("json, socket", request),
        };
        let (port, timeout) = (peer.port, self.timeout.as_secs_f64());
        Ok(format!(
            "import {modules}\n\
             \n\
             with socket.create_connection(({host}, {port}), timeout={timeout}) as server:\n    \
                 server.sendall({request}.encode())\n    \
                 server.shutdown(socket.SHUT_WR)\n    \
                 reply = b\"\".join(iter(lambda: server.recv(65536), b\"\"))\n\
             print(json.loads(reply))\n"
        ))
    }
}
