//! How each server is configured and started: loopback only, in the foreground, nothing written
//! outside of its own folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::ServerKind;
use crate::tools::HOW_TO_INSTALL;

/// The name of the configuration's file in the server's folder.
pub(super) const FILE: &str = "server.conf";

const NGINX_MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_rtmp_module.so", "/usr/lib64/nginx/modules/ngx_rtmp_module.so"];

/// The text of the configuration.
pub(super) fn text(kind: ServerKind, rtmp: u16, api: u16) -> Result<String> {
    match kind {
        ServerKind::Nginx => nginx(rtmp, api),
        ServerKind::Srs | ServerKind::ExternalSrs => Ok(srs(rtmp, api)),
    }
}

/// The command that runs the server in `folder`.
pub(super) fn command(kind: ServerKind, folder: &Path) -> Result<Command> {
    let mut command = match kind {
        ServerKind::Nginx => {
            let mut command = Command::new(nginx_program());
            command.arg("-p").arg(folder);
            command
        }
        ServerKind::Srs | ServerKind::ExternalSrs => Command::new(srs_program()?),
    };
    command.args(["-c", FILE]);
    Ok(command)
}

fn nginx(rtmp: u16, api: u16) -> Result<String> {
    let module = NGINX_MODULES
        .into_iter()
        .find(|module| Path::new(module).exists())
        .with_context(|| format!("nginx has no RTMP module: {HOW_TO_INSTALL}"))?;
    // One process: a signal to it is a signal to the server. Without drop_idle_publisher a
    // publisher that was cut off blocks its stream for good.
    Ok(format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
load_module {module};
events {{ worker_connections 256; }}
rtmp {{
  server {{
    listen 127.0.0.1:{rtmp};
    chunk_size 4096;
    application live {{ live on; drop_idle_publisher 10s; }}
  }}
}}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {{ listen 127.0.0.1:{api}; location /stat {{ rtmp_stat all; }} }}
}}
"
    ))
}

fn srs(rtmp: u16, api: u16) -> String {
    format!(
        "listen 127.0.0.1:{rtmp};
max_connections 200;
daemon off;
pid srs.pid;
srs_log_tank console;
srs_log_level_v2 warn;
http_api {{ enabled on; listen 127.0.0.1:{api}; }}
vhost __defaultVhost__ {{
  tcp_nodelay on;
  min_latency on;
  play {{ gop_cache on; mw_latency 0; }}
}}
"
    )
}

fn nginx_program() -> PathBuf {
    // An ordinary user's path often lacks the folder.
    on_path("nginx").unwrap_or_else(|| "/usr/sbin/nginx".into())
}

fn srs_program() -> Result<PathBuf> {
    let home = env::var_os("SRS_HOME").filter(|home| !home.is_empty());
    let at_home = home.map(|home| Path::new(&home).join("srs")).filter(|path| path.is_file());
    at_home
        .or_else(|| on_path("srs"))
        .context("there is no srs under SRS_HOME nor on the path")?
        .canonicalize()
        .context("cannot resolve the path of srs")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
