//! Tools for agents.

use super::*;

#[test]
fn who_comes_by_http_is_judged_by_the_settings_of_a_server() {
    let environment = [
        ("RPCD_SERVER_ALLOWED_ORIGINS", "https://app.example"),
        ("RPCD_SERVER_ALLOWED_HOSTS", "tools.example"),
    ];
    let Task::Mcp(mcp) = plan_with("mcp --listen 0", &environment).unwrap().task else {
        panic!("mcp")
    };
    let (_, http) = mcp.http.unwrap();
    assert_eq!(http.allowed_origins, ["https://app.example"]);
    assert_eq!(http.allowed_hosts, ["tools.example"]);
}
