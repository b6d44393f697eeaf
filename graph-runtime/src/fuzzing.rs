//! Doors for the fuzz targets in `graph-runtime/fuzz`, compiled for them and for tests only.

/// What an ONVIF device says: answers apart by a byte 255, each with a byte before it that tells its form.
///
/// # Panics
///
/// When a promise is broken: a question to another place, a stream on another host, the password in the clear, or
/// questions without end.
pub fn onvif(data: &[u8]) {
    crate::onvif::fuzz(data);
}

#[cfg(test)]
mod tests {
    /// Words that get far.
    const WORDS: [&[u8]; 24] = [
        b"\xff\x00",
        b"\xff\x08",
        b"\xff\x08",
        b"\xff\x0d",
        b"\xff\x2d",
        b"\xff\x1e",
        b"\xff\x0f",
        b"Digest realm=\"r\", qop=\"auth\", nonce=\"n\"",
        b"Digest realm=\"r\", qop=\"auth\", nonce=\"n\", stale=true",
        b"Basic realm=\"r\"",
        b"<Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>",
        b"</XAddr></Service>",
        b"http://169.254.169.254/latest?x=1",
        b"<Capabilities><Media><XAddr>http://u@10.0.0.9:1/m</XAddr></Media></Capabilities>",
        b"<Profiles token=\"t\"><Name>n</Name></Profiles><Profiles token=\"u\"/>",
        b"<MediaUri><Uri>rtsp://u:p@203.0.113.5/1</Uri></MediaUri>",
        b"<MediaUri><Uri>rtsp://[::ffff:10.0.0.9]/1</Uri></MediaUri>",
        b"<SystemDateAndTime><UTCDateTime><Time><Hour>1</Hour><Minute>2</Minute><Second>60</Second></Time>\
          <Date><Year>9999</Year><Month>12</Month><Day>31</Day></Date></UTCDateTime></SystemDateAndTime>",
        b"<DNSInformation><DNSManual><IPv4Address>1.2.3.4</IPv4Address></DNSManual></DNSInformation>",
        b"<Code><Value>NotAuthorized</Value></Code><Reason><Text>c0rrect-horse</Text></Reason>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&b;&#65;",
        b"<a b='c'>",
        b"<ProbeMatch><Types>x:NetworkVideoTransmitter</Types><XAddrs>http://10.0.0.9/ https://h</XAddrs></ProbeMatch>",
    ];

    /// An honest device's answers, in order.
    const TRUTH: [&[u8]; 7] = [
        b"\x08<SystemDateAndTime><DateTimeType>NTP</DateTimeType></SystemDateAndTime>",
        b"\x08<HostnameInformation><Name>n</Name></HostnameInformation>",
        b"\x08<DNSInformation/>",
        b"\x08<Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>http://h/m</XAddr></Service>",
        b"\x08<Profiles token=\"t\"/><Profiles token=\"u\"/>",
        b"\x08<MediaUri><Uri>rtsp://u:p@203.0.113.5:554/1</Uri></MediaUri>",
        b"\x08<MediaUri><Uri>rtsp://10.0.0.9/1</Uri></MediaUri>",
    ];

    #[test]
    fn no_device_breaks_a_promise() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as usize
        };
        for _ in 0..2000 {
            let mut data = Vec::new();
            for truth in TRUTH {
                // Now and then something comes in between, or in its place.
                let lies = if random() % 4 == 0 { random() % 8 } else { 0 };
                for _ in 0..lies {
                    match random() % 8 {
                        0 => data.extend((0..random() % 4).map(|_| random() as u8)),
                        _ => data.extend_from_slice(WORDS[random() % WORDS.len()]),
                    }
                }
                if random() % 8 != 0 {
                    data.extend_from_slice(if data.is_empty() { b"" } else { b"\xff" });
                    data.extend_from_slice(truth);
                }
            }
            super::onvif(&data);
        }
    }
}
