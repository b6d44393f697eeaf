//! Device adapters, and the questions to ONVIF devices.

use lva_graph_model::methods::DeviceFault;

use super::*;

#[test]
fn device_adapters_are_stored_without_showing_their_key() {
    let mut registry = open();
    let adapter = crate::state_table::adapter();
    let set = done(&mut registry, "remoteDeviceAdapterSet", &adapter);
    assert_eq!(set.status, 201);
    assert!(!set.payload.to_string().contains("hunter2"), "{}", set.payload);
    assert!(set.payload["systemData"]["createdAt"].is_string());
    // What a Get gives can be set again, and the key is kept.
    let got = done(&mut registry, "remoteDeviceAdapterGet", &name("Adapter-1")).payload;
    let changed = with(got, "/properties/description", json!("moved"));
    assert_eq!(
        done(&mut registry, "remoteDeviceAdapterSet", &changed).status,
        200
    );
    assert!(registry.save().to_string().contains("hunter2"));
    let restored = Registry::restore(&registry.save(), RegistryOptions::default()).unwrap();
    assert_eq!(restored.registry.save(), registry.save());
    let list = done(&mut registry, "remoteDeviceAdapterList", &json!({})).payload;
    assert_eq!(list["value"][0]["properties"]["description"], "moved");
    assert_eq!(
        done(&mut registry, "remoteDeviceAdapterDelete", &name("Adapter-1")).status,
        200
    );
    assert_eq!(
        done(&mut registry, "remoteDeviceAdapterDelete", &name("Adapter-1")).status,
        204
    );
    let (status, code, _) = refused(&mut registry, "remoteDeviceAdapterGet", &name("Adapter-1"));
    assert_eq!((status, code.as_str()), (404, "NotFound"));
    for (pointer, code) in [
        ("/properties/target/host", "MemberMissing"),
        ("/properties/iotHubDeviceConnection/deviceId", "MemberMissing"),
        (
            "/properties/iotHubDeviceConnection/credentials/key",
            "MemberMissing",
        ),
    ] {
        let found = refused(
            &mut registry,
            "remoteDeviceAdapterSet",
            &without(adapter.clone(), pointer),
        );
        assert_eq!(found, (400, "InvalidResource".into(), code.into()), "{pointer}");
    }
    assert!(!format!("{registry:?}").contains("hunter2"));
}

#[test]
fn onvif_methods_say_what_a_runtime_has_to_do_and_answer_with_it() {
    let mut registry = open();
    let outcome = call(&mut registry, "onvifDeviceDiscover", &json!({})).unwrap();
    let duration = Duration::from_secs(8);
    assert_eq!(outcome, Action::Discover { duration });
    let wrong = json!({"discoveryDuration": "PT2H"});
    let found = refused(&mut registry, "onvifDeviceDiscover", &wrong);
    assert_eq!(found, (400, "BadRequest".into(), "OutOfRange".into()));
    let endpoint = json!({"endpoint": {
        "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "http://cam/onvif/device_service",
        "credentials": {"@type": "#Microsoft.VideoAnalyzer.UsernamePasswordCredentials", "username": "u", "password": "hunter2"},
    }});
    let Ok(Action::Describe { endpoint }) = call(&mut registry, "onvifDeviceGet", &endpoint) else {
        panic!()
    };
    assert_eq!(endpoint.url.authority(), "cam");
    let found = refused(&mut registry, "onvifDeviceGet", &json!({}));
    assert_eq!(found, (400, "BadRequest".into(), "MemberMissing".into()));
    // The answers have the published members.
    let published = json!({"value": [{
        "serviceIdentifier": "urn:uuid:1", "remoteIPAddress": "10.0.0.9", "scopes": ["onvif://x"],
        "endpoints": ["http://10.0.0.9/onvif/device_service"],
    }]});
    let devices: Vec<lva_graph_model::onvif::DiscoveredDevice> =
        serde_json::from_value(published["value"].clone()).unwrap();
    assert_eq!(Response::of_discovered_devices(&devices).payload, published);
    let many = vec![devices[0].clone(); 300];
    let answer = Response::of_discovered_devices(&many).payload;
    assert_eq!(
        answer["value"].as_array().unwrap().len(),
        lva_graph_model::onvif::MAX_DISCOVERED_DEVICES
    );
    let published = json!({
        "hostname": {"fromDhcp": true, "hostname": "cam"},
        "systemDateTime": {"type": "Ntp", "time": "10:00", "timeZone": "UTC"},
        "dns": {"fromDhcp": false, "ipv4Address": ["10.0.0.1"], "ipv6Address": []},
        "mediaProfiles": [{"name": "main", "mediaUri": {"uri": "rtsp://cam/1"}, "videoEncoderConfiguration": {
            "encoding": "H264", "quality": 4.0, "resolution": {"width": 1280, "height": 720},
            "rateControl": {"bitRateLimit": 2048.0, "encodingInterval": 1.0, "frameRateLimit": 30.0, "guaranteedFrameRate": false},
            "h264": {"govLength": 60.0, "profile": "Main"},
        }}],
    });
    let device: lva_graph_model::onvif::OnvifDevice = serde_json::from_value(published.clone()).unwrap();
    assert_eq!(Response::of_device(&device).payload, published);
    let error = MethodError::not_served("onvifDeviceGet").to_response();
    assert_eq!(error.status, 501);
    let statuses = DeviceFault::ALL.map(|fault| {
        let answer = MethodError::device("onvifDeviceGet", fault, "why").to_response();
        let error = &answer.payload["error"];
        assert_eq!(error["message"], "onvifDeviceGet: why");
        assert_eq!(error["code"], fault.code());
        answer.status
    });
    assert_eq!(statuses, [400, 403, 500, 502, 504]);
}
