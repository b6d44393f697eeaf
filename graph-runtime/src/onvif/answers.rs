//! What a device's answers mean, in the contract's words. Everything that is missing or absurd is left out.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use lva_graph_model::onvif::{
    CodecConfiguration, MediaProfile, OnvifDateTime, OnvifDns, OnvifHostName, RateControl,
    VideoEncoderConfiguration, VideoResolution,
};

use super::soap::words;
use super::xml::Element;

/// Namespace of the media service of the first version, in which the contract's profiles are.
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
/// Longest name of a profile among devices; the schema has 64 characters.
const MAX_TOKEN: usize = 256;
/// Most name servers that are taken.
const MAX_SERVERS: usize = 16;

/// `GetSystemDateAndTime`: the clock for the answer, and the moment it shows, where it says UTC.
pub(super) fn clock(body: &Element) -> Option<(OnvifDateTime, Option<Timestamp>)> {
    let clock = body.child("SystemDateAndTime")?;
    let utc = clock.child("UTCDateTime").and_then(date_time);
    let utc = utc.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    let utc = utc.map(|time| time.timestamp());
    let local = || clock.child("LocalDateTime").and_then(date_time);
    let time = utc.map(|time| time.to_string());
    let kind = match clock.text_at(&["DateTimeType"]) {
        Some(kind) if kind.eq_ignore_ascii_case("NTP") => "Ntp".to_owned(),
        Some(kind) if kind.eq_ignore_ascii_case("Manual") => "Manual".to_owned(),
        other => words(other.unwrap_or_default()),
    };
    let shown = OnvifDateTime {
        kind,
        time: time
            .or_else(|| local().map(|time| time.to_string()))
            .unwrap_or_default(),
        time_zone: clock.text_at(&["TimeZone", "TZ"]).map(words).unwrap_or_default(),
    };
    Some((shown, utc))
}

fn date_time(element: &Element) -> Option<DateTime> {
    let number = |path: &[&str]| element.text_at(path)?.parse::<i16>().ok();
    let small = |path: &[&str]| number(path).and_then(|number| i8::try_from(number).ok());
    let (year, month, day) = (
        number(&["Date", "Year"])?,
        small(&["Date", "Month"])?,
        small(&["Date", "Day"])?,
    );
    let hour = small(&["Time", "Hour"])?;
    let minute = small(&["Time", "Minute"])?;
    // A leap second is one that others call 59.
    let second = small(&["Time", "Second"])?.min(59);
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = date(year, month, 1).with().day(day).build().ok()?;
    DateTime::new(date.year(), date.month(), date.day(), hour, minute, second, 0).ok()
}

/// `GetHostname`
pub(super) fn hostname(body: &Element) -> Option<OnvifHostName> {
    let element = body.child("HostnameInformation")?;
    Some(OnvifHostName {
        from_dhcp: truth(element.text_at(&["FromDHCP"])).unwrap_or_default(),
        hostname: element.text_at(&["Name"]).map(words).unwrap_or_default(),
    })
}

/// `GetDNS`
pub(super) fn dns(body: &Element) -> Option<OnvifDns> {
    let element = body.child("DNSInformation")?;
    let from_dhcp = truth(element.text_at(&["FromDHCP"])).unwrap_or_default();
    let mut dns = OnvifDns {
        from_dhcp,
        ..OnvifDns::default()
    };
    let servers = element.all(if from_dhcp { "DNSFromDHCP" } else { "DNSManual" });
    for server in servers.take(MAX_SERVERS) {
        // Read as addresses, so that nothing else gets into the answer.
        let v4 = server
            .text_at(&["IPv4Address"])
            .and_then(|text| text.parse::<Ipv4Addr>().ok());
        let v6 = server
            .text_at(&["IPv6Address"])
            .and_then(|text| text.parse::<Ipv6Addr>().ok());
        dns.ipv4_address.extend(v4.map(|address| address.to_string()));
        dns.ipv6_address.extend(v6.map(|address| address.to_string()));
    }
    Some(dns)
}

/// `GetServices`: the address of the media service.
pub(super) fn media_of_services(body: &Element) -> Option<&str> {
    let mut services = body.all("Service");
    let media = services.find(|service| {
        let namespace = service.text_at(&["Namespace"]).unwrap_or_default();
        namespace.trim_end_matches('/') == MEDIA
    })?;
    media.text_at(&["XAddr"])
}

/// `GetCapabilities`, the older question: the same.
pub(super) fn media_of_capabilities(body: &Element) -> Option<&str> {
    body.text_at(&["Capabilities", "Media", "XAddr"])
}

/// `GetProfiles`: each profile with its token. Those in encodings that the contract does not have, H.265 above all, are
/// left out; those without an encoder are not.
pub(super) fn profiles(body: &Element, most: usize) -> Vec<(String, MediaProfile)> {
    let all = body.all("Profiles").filter_map(profile);
    all.take(most).collect()
}

fn profile(element: &Element) -> Option<(String, MediaProfile)> {
    let token = element
        .attribute("token")
        .filter(|token| (1..=MAX_TOKEN).contains(&token.len()))?;
    let encoder = match element.child("VideoEncoderConfiguration") {
        None => None,
        Some(encoder) => Some(encoding(encoder)?),
    };
    let profile = MediaProfile {
        name: words(element.text_at(&["Name"]).unwrap_or(token)),
        media_uri: None,
        video_encoder_configuration: encoder,
    };
    Some((token.to_owned(), profile))
}

fn encoding(element: &Element) -> Option<VideoEncoderConfiguration> {
    let written = element.text_at(&["Encoding"])?;
    let known = ["JPEG", "H264", "MPEG4"];
    let encoding = known
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(written))?;
    let codec = |name: &str, profile: &str| {
        element
            .child(name)
            .filter(|_| encoding.eq_ignore_ascii_case(name))
            .map(|codec| CodecConfiguration {
                gov_length: number(codec, &["GovLength"]),
                profile: codec.text_at(&[profile]).map(words).unwrap_or_default(),
            })
    };
    let resolution = element.child("Resolution").and_then(|resolution| {
        Some(VideoResolution {
            width: resolution.text_at(&["Width"])?.parse().ok()?,
            height: resolution.text_at(&["Height"])?.parse().ok()?,
        })
    });
    // The schema has it beside the limits, as an attribute.
    let guaranteed = element.attribute("GuaranteedFrameRate");
    let rate_control = element.child("RateControl").map(|rate| RateControl {
        bit_rate_limit: number(rate, &["BitrateLimit"]),
        encoding_interval: number(rate, &["EncodingInterval"]),
        frame_rate_limit: number(rate, &["FrameRateLimit"]),
        guaranteed_frame_rate: truth(guaranteed.or(rate.attribute("GuaranteedFrameRate"))),
    });
    Some(VideoEncoderConfiguration {
        encoding: encoding.to_owned(),
        quality: number(element, &["Quality"]),
        resolution,
        rate_control,
        h264: codec("H264", "H264Profile"),
        mpeg4: codec("MPEG4", "Mpeg4Profile"),
    })
}

/// `GetStreamUri`
pub(super) fn stream(body: &Element) -> Option<&str> {
    body.text_at(&["MediaUri", "Uri"])
}

fn number(element: &Element, path: &[&str]) -> Option<f64> {
    let number: f64 = element.text_at(path)?.parse().ok()?;
    number.is_finite().then_some(number)
}

fn truth(text: Option<&str>) -> Option<bool> {
    match text?.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(text: &str) -> Element {
        Element::parse(text.as_bytes()).unwrap()
    }

    fn utc(date: &str, time: &str) -> Element {
        xml(&format!(
            "<r><SystemDateAndTime><DateTimeType>NTP</DateTimeType><TimeZone><TZ>CST-8</TZ></TimeZone><UTCDateTime>\
             <Time>{time}</Time><Date>{date}</Date></UTCDateTime></SystemDateAndTime></r>"
        ))
    }

    #[test]
    fn a_clock_is_read() {
        let date = "<Year>2024</Year><Month>2</Month><Day>29</Day>";
        let body = utc(date, "<Hour>23</Hour><Minute>59</Minute><Second>60</Second>");
        let (shown, moment) = clock(&body).unwrap();
        assert_eq!(
            (shown.kind.as_str(), shown.time.as_str(), shown.time_zone.as_str()),
            ("Ntp", "2024-02-29T23:59:59Z", "CST-8")
        );
        assert_eq!(moment.unwrap().to_string(), shown.time);
    }

    #[test]
    fn an_absurd_clock_is_none() {
        let time = "<Hour>1</Hour><Minute>1</Minute><Second>1</Second>";
        for date in [
            "<Year>2023</Year><Month>2</Month><Day>29</Day>",
            "<Year>0</Year><Month>0</Month><Day>0</Day>",
            "<Year>99999</Year><Month>1</Month><Day>1</Day>",
            "<Year>2023</Year>",
        ] {
            let (shown, moment) = clock(&utc(date, time)).unwrap();
            assert_eq!((shown.time.as_str(), moment), ("", None), "{date}");
        }
        let date = "<Year>2023</Year><Month>2</Month><Day>9</Day>";
        let noon = "<Hour>25</Hour><Minute>1</Minute><Second>1</Second>";
        assert_eq!(clock(&utc(date, noon)).unwrap().1, None);
    }

    #[test]
    fn name_servers_are_addresses_or_left_out() {
        let body = xml(
            "<r><DNSInformation><FromDHCP>false</FromDHCP><DNSFromDHCP><IPv4Address>9.9.9.9</IPv4Address></DNSFromDHCP>\
             <DNSManual><Type>IPv4</Type><IPv4Address>10.0.0.1</IPv4Address></DNSManual>\
             <DNSManual><IPv4Address>x</IPv4Address></DNSManual>\
             <DNSManual><IPv6Address>2001:DB8::1</IPv6Address></DNSManual></DNSInformation></r>",
        );
        let expected = OnvifDns {
            from_dhcp: false,
            ipv4_address: vec!["10.0.0.1".to_owned()],
            ipv6_address: vec!["2001:db8::1".to_owned()],
        };
        assert_eq!(dns(&body), Some(expected));
    }

    #[test]
    fn the_media_service_of_the_first_version_is_found() {
        let body = xml(
            "<r><Service><Namespace>http://www.onvif.org/ver20/media/wsdl</Namespace><XAddr>http://c/2</XAddr></Service>\
             <Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr> http://c/1 </XAddr></Service></r>",
        );
        assert_eq!(media_of_services(&body), Some("http://c/1"));
        let body = xml("<r><Capabilities><Media><XAddr>http://c/1</XAddr></Media></Capabilities></r>");
        assert_eq!(media_of_capabilities(&body), Some("http://c/1"));
    }

    #[test]
    fn profiles_of_h265_and_without_a_token_are_left_out() {
        let encoder = |encoding: &str| {
            format!("<VideoEncoderConfiguration><Encoding>{encoding}</Encoding></VideoEncoderConfiguration>")
        };
        let body = xml(&format!(
            "<r><Profiles token=\"a\"><Name>A</Name>{}</Profiles><Profiles token=\"b\">{}</Profiles>\
             <Profiles token=\"c\"/><Profiles>{}</Profiles><Profiles token=\"d\">{}</Profiles></r>",
            encoder("H264"),
            encoder("H265"),
            encoder("JPEG"),
            encoder("jpeg"),
        ));
        let tokens = |most| {
            let all = profiles(&body, most).into_iter();
            all.map(|(token, profile)| (token, profile.name))
                .collect::<Vec<_>>()
        };
        let pair = |token: &str, name: &str| (token.to_owned(), name.to_owned());
        assert_eq!(tokens(9), [pair("a", "A"), pair("c", "c"), pair("d", "d")]);
        assert_eq!(tokens(1).len(), 1);
    }
}
