"""A GStreamer RTSP server on a free port of loopback, which it prints. Ends when its standard input does.

Arguments: the scheme of authentication (none, basic, digest), and, for TLS, a file with a certificate and its key.
User and password are testuser and testpassword. Media: /h264 with G.711 beside it, /h265, /jpeg.
"""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer

PICTURES = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
MEDIA = {
    "/h264": PICTURES
    + "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=1 "
    + "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
    "/h265": PICTURES
    + "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay name=pay0 pt=96 config-interval=1",
    "/jpeg": PICTURES + "jpegenc ! rtpjpegpay name=pay0 pt=26",
}

Gst.init(None)
scheme = sys.argv[1]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
auth = GstRtspServer.RTSPAuth()
if len(sys.argv) > 2:
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(sys.argv[2]))
token = GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "viewer" if scheme != "none" else "anonymous")
if scheme == "digest":
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest("testuser", "testpassword", token)
elif scheme == "basic":
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("testuser", "testpassword"), token)
else:
    auth.set_default_token(token)
server.set_auth(auth)
for path, launch in MEDIA.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + launch + " )")
    factory.set_shared(True)
    factory.set_publish_clock_mode(GstRtspServer.RTSPPublishClockMode.NONE)
    for role in ("viewer", "anonymous"):
        factory.add_role_from_structure(
            Gst.Structure.from_string(role + ", media.factory.access=(boolean)true, media.factory.construct=(boolean)true;")[0]
        )
    server.get_mount_points().add_factory(path, factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
loop = GLib.MainLoop()
threading.Thread(target=lambda: (sys.stdin.read(), GLib.idle_add(loop.quit)), daemon=True).start()
loop.run()
