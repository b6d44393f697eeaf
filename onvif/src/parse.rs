//! What a device's responses mean. Values that are missing or absurd are left out.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;

use crate::description::{
    DeviceClock, HostName, NameServers, Profile, RateLimits, VideoEncoder, VideoEncoding,
};
use crate::soap::one_line;
use crate::xml::Element;

/// Namespace of the media service of version 1.
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
/// Longest token of a profile; the schema allows 64 characters.
const MAX_TOKEN: usize = 256;
/// Most name servers of a device.
const MAX_SERVERS: usize = 16;

/// `GetSystemDateAndTime`: the clock, and its moment where it reports UTC.
pub(crate) fn clock(body: &Element) -> Option<(DeviceClock, Option<Timestamp>)> {
    let clock = body.child("SystemDateAndTime")?;
    let utc = clock.child("UTCDateTime").and_then(date_time);
    let utc = utc.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    let utc = utc.map(|time| time.timestamp());
    let local = || clock.child("LocalDateTime").and_then(date_time);
    let time = utc.map(|time| time.to_string());
    let source = match clock.text_at(&["DateTimeType"]) {
        Some(kind) if kind.eq_ignore_ascii_case("NTP") => "Ntp".to_owned(),
        Some(kind) if kind.eq_ignore_ascii_case("Manual") => "Manual".to_owned(),
        other => one_line(other.unwrap_or_default()),
    };
    let shown = DeviceClock {
        source,
        time: time
            .or_else(|| local().map(|time| time.to_string()))
            .unwrap_or_default(),
        time_zone: clock
            .text_at(&["TimeZone", "TZ"])
            .map(one_line)
            .unwrap_or_default(),
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
    // A leap second counts as second 59.
    let second = small(&["Time", "Second"])?.min(59);
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = date(year, month, 1).with().day(day).build().ok()?;
    DateTime::new(date.year(), date.month(), date.day(), hour, minute, second, 0).ok()
}

/// `GetHostname`
pub(crate) fn host_name(body: &Element) -> Option<HostName> {
    let element = body.child("HostnameInformation")?;
    Some(HostName {
        from_dhcp: boolean(element.text_at(&["FromDHCP"])).unwrap_or_default(),
        name: element.text_at(&["Name"]).map(one_line).unwrap_or_default(),
    })
}

/// `GetDNS`
pub(crate) fn name_servers(body: &Element) -> Option<NameServers> {
    let element = body.child("DNSInformation")?;
    let from_dhcp = boolean(element.text_at(&["FromDHCP"])).unwrap_or_default();
    let mut found = NameServers {
        from_dhcp,
        ipv4: Vec::new(),
        ipv6: Vec::new(),
    };
    let servers = element.all(if from_dhcp { "DNSFromDHCP" } else { "DNSManual" });
    for server in servers.take(MAX_SERVERS) {
        let v4 = server.text_at(&["IPv4Address"]);
        let v6 = server.text_at(&["IPv6Address"]);
        found
            .ipv4
            .extend(v4.and_then(|text| text.parse::<Ipv4Addr>().ok()));
        found
            .ipv6
            .extend(v6.and_then(|text| text.parse::<Ipv6Addr>().ok()));
    }
    Some(found)
}

/// `GetServices`: the address of the media service.
pub(crate) fn media_of_services(body: &Element) -> Option<&str> {
    let mut services = body.all("Service");
    let media = services.find(|service| {
        let namespace = service.text_at(&["Namespace"]).unwrap_or_default();
        namespace.trim_end_matches('/') == MEDIA
    })?;
    media.text_at(&["XAddr"])
}

/// `GetCapabilities`, the older request for the same.
pub(crate) fn media_of_capabilities(body: &Element) -> Option<&str> {
    body.text_at(&["Capabilities", "Media", "XAddr"])
}

/// `GetProfiles`: each profile with its token. Profiles in encodings outside version 1, such as H.265, are left out;
/// those without an encoder are not.
pub(crate) fn profiles(body: &Element, max: usize) -> Vec<(String, Profile)> {
    let all = body.all("Profiles").filter_map(profile);
    all.take(max).collect()
}

fn profile(element: &Element) -> Option<(String, Profile)> {
    let token = element
        .attribute("token")
        .filter(|token| (1..=MAX_TOKEN).contains(&token.len()))?;
    let encoder = match element.child("VideoEncoderConfiguration") {
        None => None,
        Some(element) => Some(encoder(element)?),
    };
    let profile = Profile {
        name: one_line(element.text_at(&["Name"]).unwrap_or(token)),
        stream_uri: None,
        encoder,
    };
    Some((token.to_owned(), profile))
}

fn encoder(element: &Element) -> Option<VideoEncoder> {
    let written = element.text_at(&["Encoding"])?;
    let (encoding, details, profile) = match () {
        () if written.eq_ignore_ascii_case("JPEG") => (VideoEncoding::Jpeg, None, ""),
        () if written.eq_ignore_ascii_case("H264") => {
            (VideoEncoding::H264, element.child("H264"), "H264Profile")
        }
        () if written.eq_ignore_ascii_case("MPEG4") => {
            (VideoEncoding::Mpeg4, element.child("MPEG4"), "Mpeg4Profile")
        }
        () => return None,
    };
    let resolution = element.child("Resolution").and_then(|resolution| {
        let side = |name: &str| resolution.text_at(&[name])?.parse::<u32>().ok();
        Some((side("Width")?, side("Height")?))
    });
    // The schema has it next to the limits, as an attribute.
    let guaranteed = element.attribute("GuaranteedFrameRate");
    let rate = element.child("RateControl").map(|rate| RateLimits {
        kilobits_per_second: number(rate, &["BitrateLimit"]),
        encoding_interval: number(rate, &["EncodingInterval"]),
        frames_per_second: number(rate, &["FrameRateLimit"]),
        guaranteed_frame_rate: boolean(guaranteed.or(rate.attribute("GuaranteedFrameRate"))),
    });
    Some(VideoEncoder {
        encoding,
        quality: number(element, &["Quality"]),
        resolution,
        rate,
        gov_length: details.and_then(|details| number(details, &["GovLength"])),
        codec_profile: details.map(|details| details.text_at(&[profile]).map(one_line).unwrap_or_default()),
    })
}

/// `GetStreamUri`
pub(crate) fn stream(body: &Element) -> Option<&str> {
    body.text_at(&["MediaUri", "Uri"])
}

fn number(element: &Element, path: &[&str]) -> Option<f64> {
    let number: f64 = element.text_at(path)?.parse().ok()?;
    number.is_finite().then_some(number)
}

fn boolean(text: Option<&str>) -> Option<bool> {
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
    fn a_clock_is_parsed() {
        let date = "<Year>2024</Year><Month>2</Month><Day>29</Day>";
        let body = utc(date, "<Hour>23</Hour><Minute>59</Minute><Second>60</Second>");
        let (shown, moment) = clock(&body).unwrap();
        assert_eq!(
            (
                shown.source.as_str(),
                shown.time.as_str(),
                shown.time_zone.as_str()
            ),
            ("Ntp", "2024-02-29T23:59:59Z", "CST-8")
        );
        assert_eq!(moment.unwrap().to_string(), shown.time);
    }

    #[test]
    fn an_absurd_clock_has_no_moment() {
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
    fn invalid_name_servers_are_left_out() {
        let body = xml(
            "<r><DNSInformation><FromDHCP>false</FromDHCP><DNSFromDHCP><IPv4Address>9.9.9.9</IPv4Address></DNSFromDHCP>\
             <DNSManual><Type>IPv4</Type><IPv4Address>10.0.0.1</IPv4Address></DNSManual>\
             <DNSManual><IPv4Address>x</IPv4Address></DNSManual>\
             <DNSManual><IPv6Address>2001:DB8::1</IPv6Address></DNSManual></DNSInformation></r>",
        );
        let found = name_servers(&body).unwrap();
        assert!(!found.from_dhcp);
        assert_eq!(found.ipv4, [Ipv4Addr::new(10, 0, 0, 1)]);
        assert_eq!(found.ipv6, ["2001:db8::1".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn the_media_service_of_version_1_is_found() {
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
        let tokens = |max| {
            let all = profiles(&body, max).into_iter();
            all.map(|(token, profile)| (token, profile.name))
                .collect::<Vec<_>>()
        };
        let pair = |token: &str, name: &str| (token.to_owned(), name.to_owned());
        assert_eq!(tokens(9), [pair("a", "A"), pair("c", "c"), pair("d", "d")]);
        assert_eq!(tokens(1).len(), 1);
    }
}
