"""A camera for tests: gst-rtsp-server with a moving ball, behind digest or basic authentication.

rtsp-camera.py PORT USER PASSWORD digest|basic [PIPELINE] -> prints "ready" once it takes connections on
127.0.0.1:PORT/live. Ends with its standard input.
"""
import sys

import gi

gi.require_version('Gst', '1.0')
gi.require_version('GstRtsp', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PIPELINE = (
    '( videotestsrc is-live=true pattern=ball'
    ' ! video/x-raw,width=320,height=240,framerate=15/1'
    ' ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=15'
    ' ! video/x-h264,profile=baseline'
    ' ! rtph264pay name=pay0 pt=96 config-interval=1 )'
)
ROLE = 'viewer'


def main(port, user, password, method, pipeline=PIPELINE):
    Gst.init(None)
    token = GstRtspServer.RTSPToken()
    token.set_string('media.factory.role', ROLE)
    auth = GstRtspServer.RTSPAuth()
    if method == 'digest':
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(ROLE, 'media.factory.access', True)
    permissions.add_permission_for_role(ROLE, 'media.factory.construct', True)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline)
    factory.set_shared(True)
    factory.set_permissions(permissions)
    server = GstRtspServer.RTSPServer()
    server.set_address('127.0.0.1')
    server.set_service(port)
    server.set_auth(auth)
    server.get_mount_points().add_factory('/live', factory)
    if server.attach(None) == 0:
        sys.exit('cannot listen on ' + port)
    print('ready', flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


main(*sys.argv[1:])
