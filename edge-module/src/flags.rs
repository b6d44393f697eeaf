//! Values of command lines, and flags that several programs have.

use clap::ArgAction;
use lva_media_types::Credentials;

/// How much a program logs.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Verbosity {
    /// Log warnings and errors only, not addresses, streams and counts.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log details too; -vv logs everything, also of libraries.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Verbosity {
    /// The filter of the log; `None` without a flag.
    pub fn filter(self) -> Option<&'static str> {
        match (self.quiet, self.verbose) {
            (true, _) => Some("warn"),
            (false, 0) => None,
            // Debug lines of libraries would hide those of this project.
            (false, 1) => Some("info,lva=debug"),
            (false, _) => Some("trace"),
        }
    }
}

/// Parses `WIDTHxHEIGHT`.
///
/// # Errors
///
/// A message for the user.
pub fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once(['x', 'X', '×']);
    parts
        .and_then(|(width, height)| Some((width.trim().parse().ok()?, height.trim().parse().ok()?)))
        .filter(|(width, height)| *width > 0 && *height > 0)
        .ok_or_else(|| format!("'{text}' is not a size: write WIDTHxHEIGHT, such as 1280x720"))
}

/// Parses a score, 0 to 1.
///
/// # Errors
///
/// A message for the user.
#[cfg(feature = "spatial-analysis")]
pub fn parse_score(text: &str) -> Result<f32, String> {
    let score = text
        .trim()
        .parse()
        .ok()
        .filter(|score| (0.0..=1.0).contains(score));
    score.ok_or_else(|| format!("'{text}' is not a score: give a number from 0 to 1, such as 0.3"))
}

/// Parses `USER:PASSWORD`.
///
/// # Errors
///
/// A message for the user that does not repeat the value.
pub fn parse_credentials(text: &str) -> Result<Credentials, String> {
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => Ok(Credentials::new(user, password)),
        _ => Err("write USER:PASSWORD".to_owned()),
    }
}

/// Parses the name of a file that has `USER:PASSWORD`, so that no list of processes shows the password, and reads it.
///
/// # Errors
///
/// A message for the user that does not repeat the content.
pub fn read_credentials(path: &str) -> Result<Credentials, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let line = text.trim_end_matches(['\r', '\n']);
    parse_credentials(line).map_err(|_| "write USER:PASSWORD into the file".to_owned())
}

/// Parses words between commas.
///
/// # Errors
///
/// A message for the user.
#[cfg(feature = "spatial-analysis")]
pub fn parse_list(text: &str) -> Result<Vec<String>, String> {
    let words: Vec<_> = text.split(',').map(|word| word.trim().to_owned()).collect();
    if words.iter().any(String::is_empty) {
        return Err(format!(
            "'{text}' has an empty word: write words between commas, such as person,car"
        ));
    }
    Ok(words)
}

/// Parses three numbers between commas.
///
/// # Errors
///
/// A message for the user.
#[cfg(feature = "spatial-analysis")]
pub fn parse_three(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| <[f32; 3]>::try_from(numbers).ok())
        .ok_or_else(|| {
            format!("'{text}' is not three numbers: write them between commas, such as 0.5,0.5,0.5")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_and_verbose_choose_the_filter_and_exclude_each_other() {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            verbosity: Verbosity,
        }
        let filter = |flags: &[&str]| {
            let given = ["server"].iter().chain(flags);
            <Flags as clap::Parser>::try_parse_from(given).map(|flags| flags.verbosity.filter())
        };
        for (flags, expected) in [
            (&[][..], None),
            (&["-q"], Some("warn")),
            (&["--quiet"], Some("warn")),
            (&["-v"], Some("info,lva=debug")),
            (&["-vv"], Some("trace")),
            (&["--verbose", "--verbose", "-v"], Some("trace")),
        ] {
            assert_eq!(filter(flags).unwrap(), expected, "{flags:?}");
        }
        assert!(filter(&["-q", "-v"]).is_err());
    }

    #[test]
    fn credentials_in_a_file_end_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("auth");
        let name = file.to_str().unwrap();
        std::fs::write(&file, "me: a b \r\n").unwrap();
        assert_eq!(read_credentials(name), Ok(Credentials::new("me", " a b ")));
        std::fs::write(&file, "geheim\n").unwrap();
        assert!(read_credentials(name).is_err_and(|error| !error.contains("geheim")));
        assert!(read_credentials("/nowhere/auth").is_err());
    }

    #[test]
    fn a_password_may_contain_colons() {
        assert_eq!(parse_credentials("me:a:b"), Ok(Credentials::new("me", "a:b")));
        for wrong in ["", "me", ":secret"] {
            assert!(
                parse_credentials(wrong).is_err_and(|message| !message.contains("secret")),
                "{wrong}"
            );
        }
    }

    #[cfg(feature = "spatial-analysis")]
    #[test]
    fn a_score_is_from_0_to_1() {
        assert_eq!((parse_score("0.3"), parse_score(" 1 ")), (Ok(0.3), Ok(1.0)));
        for wrong in ["", "30", "-0.1", "NaN", "30%"] {
            assert!(
                parse_score(wrong).is_err_and(|message| message.contains("0 to 1")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!(parse_size("1280x720"), Ok((1280, 720)));
        assert_eq!(parse_size("640 × 360"), Ok((640, 360)));
        for wrong in ["", "1280", "x", "1280x", "-1x2", "axb", "0x5"] {
            assert!(
                parse_size(wrong).is_err_and(|message| message.contains("1280x720")),
                "{wrong}"
            );
        }
    }

    #[cfg(feature = "spatial-analysis")]
    #[test]
    fn lists_and_triples() {
        assert_eq!(
            parse_list("person, car"),
            Ok(vec!["person".to_owned(), "car".to_owned()])
        );
        assert!(parse_list("person,").is_err());
        assert_eq!(parse_three("0.5, 1,2"), Ok([0.5, 1.0, 2.0]));
        assert!(parse_three("1,2").is_err_and(|message| message.contains("three numbers")));
    }
}
