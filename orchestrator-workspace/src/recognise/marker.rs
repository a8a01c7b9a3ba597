//! The lines that begin a test, skip one, or keep all others from running.

use super::syntax::Syntax;

/// What a line is to a test runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A test begins.
    Test,
    /// The test here does not run.
    Skipped,
    /// Only tests so marked run.
    Focused,
}

/// What `line`, without its indentation, is. `before` is the line before it that is not blank,
/// likewise: a skip under a condition is a choice, not a leftover.
pub fn marker(syntax: Syntax, line: &str, before: &str) -> Option<Marker> {
    use Marker::{Focused, Skipped, Test};
    // Most lines are told by their first byte.
    let first = *line.as_bytes().first()?;
    let may_be = match syntax {
        Syntax::Rust => first == b'#',
        Syntax::Java => matches!(first, b'@' | b'p'),
        Syntax::Kotlin | Syntax::Scala => first == b'@',
        Syntax::CSharp => first == b'[',
        Syntax::Python => matches!(first, b'd' | b'a' | b'@' | b'p' | b's'),
        Syntax::Go => matches!(first, b'f' | b't'),
        Syntax::JavaScript | Syntax::TypeScript => {
            matches!(first, b'f' | b'i' | b't' | b'd' | b'c' | b's' | b'x' | b'Q' | b'D')
        }
        _ => true,
    };
    if !may_be {
        return None;
    }
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    let conditional = || {
        ["if ", "if(", "} else", "else", "case ", "when ", "unless ", "except", "catch", "} catch"]
            .iter()
            .any(|word| before.starts_with(word))
    };
    match syntax {
        Syntax::Rust => {
            if begins(&["#[ignore]", "#[ignore ="]) {
                Some(Skipped)
            } else if begins(&[
                "#[test]",
                "#[tokio::test",
                "#[rstest",
                "#[test_case",
                "#[async_std::test",
            ]) {
                Some(Test)
            } else {
                None
            }
        }
        Syntax::Python => {
            if begins(&["def test_", "async def test_"]) {
                Some(Test)
            } else if line == "@pytest.mark.skip"
                || begins(&["@pytest.mark.skip(", "@unittest.skip(", "@unittest.skip\n", "@skip("])
                || (begins(&["pytest.skip(", "self.skipTest("]) && !conditional())
            {
                Some(Skipped)
            } else {
                None
            }
        }
        Syntax::Go => {
            if begins(&["func Test", "func Fuzz"]) && line.contains("testing.") {
                Some(Test)
            } else if begins(&["t.Skip(", "t.SkipNow(", "t.Skipf("]) && !conditional() {
                Some(Skipped)
            } else {
                None
            }
        }
        Syntax::JavaScript | Syntax::TypeScript => {
            const FOCUS: [&str; 9] = [
                "fit(",
                "fdescribe(",
                "it.only(",
                "test.only(",
                "describe.only(",
                "context.only(",
                "suite.only(",
                "specify.only(",
                "QUnit.only(",
            ];
            const SKIP: [&str; 11] = [
                "xit(",
                "xtest(",
                "xdescribe(",
                "xcontext(",
                "it.skip(",
                "test.skip(",
                "describe.skip(",
                "context.skip(",
                "suite.skip(",
                "specify.skip(",
                "QUnit.skip(",
            ];
            // With a condition as its first argument it is a choice.
            let names = |words: &[&str]| {
                words.iter().any(|word| {
                    line.strip_prefix(word)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['\'', '"', '`']))
                })
            };
            if names(&FOCUS) {
                Some(Focused)
            } else if names(&SKIP) {
                Some(Skipped)
            } else if names(&["it(", "test(", "specify(", "QUnit.test(", "Deno.test("])
                || begins(&["it.each", "test.each"])
            {
                Some(Test)
            } else {
                None
            }
        }
        Syntax::Java | Syntax::Kotlin | Syntax::Scala => {
            let is = |word: &str| {
                line.strip_prefix(word)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
            };
            if is("@Disabled") || is("@Ignore") {
                Some(Skipped)
            } else if is("@Test") || is("@ParameterizedTest") || is("@RepeatedTest") {
                Some(Test)
            } else if line.starts_with("public void test") && !before.starts_with('@') {
                // The habit of JUnit 3; an annotation before it has been counted.
                Some(Test)
            } else {
                None
            }
        }
        Syntax::CSharp => {
            let is_test =
                begins(&["[Fact", "[Theory", "[Test]", "[Test(", "[TestMethod", "[TestCase("]);
            if begins(&["[Ignore]", "[Ignore("])
                || (is_test && (line.contains("Skip =") || line.contains("Skip=")))
            {
                Some(Skipped)
            } else {
                is_test.then_some(Test)
            }
        }
        Syntax::Ruby => {
            if begins(&["fit \"", "fit '", "fdescribe ", "fcontext "]) {
                Some(Focused)
            } else if begins(&["xit \"", "xit '", "xdescribe ", "xcontext "])
                || (begins(&["skip \"", "skip '", "skip(", "pending \"", "pending '"])
                    && !conditional())
            {
                Some(Skipped)
            } else if begins(&[
                "it \"",
                "it '",
                "it(",
                "def test_",
                "test \"",
                "test '",
                "specify \"",
            ]) {
                Some(Test)
            } else {
                None
            }
        }
        Syntax::Php => {
            if begins(&["public function test", "function test", "#[Test]", "it('", "test('"]) {
                Some(Test)
            } else if begins(&["$this->markTestSkipped(", "self::markTestSkipped("])
                && !conditional()
            {
                Some(Skipped)
            } else {
                None
            }
        }
        Syntax::Swift => begins(&["func test", "@Test"]).then_some(Test),
        Syntax::C | Syntax::Cpp => {
            const MACROS: [&str; 12] = [
                "TEST(",
                "TEST_F(",
                "TEST_P(",
                "TYPED_TEST(",
                "TEST_CASE(",
                "TEST_CASE_FIXTURE(",
                "TEST_CASE_METHOD(",
                "TEST_CASE_TEMPLATE(",
                "TEMPLATE_TEST_CASE(",
                "SCENARIO(",
                "START_TEST(",
                "BOOST_AUTO_TEST_CASE(",
            ];
            begins(&MACROS).then_some(Test)
        }
        Syntax::Elixir => {
            if line.starts_with("@tag :skip") {
                Some(Skipped)
            } else {
                begins(&["test \""]).then_some(Test)
            }
        }
        Syntax::Dart => begins(&["test('", "test(\"", "testWidgets("]).then_some(Test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Marker::{Focused, Skipped, Test};

    #[test]
    fn a_line_tells_what_it_is() {
        for (syntax, before, line, expected) in [
            (Syntax::Rust, "", "#[test]", Some(Test)),
            (Syntax::Rust, "", "#[ignore = \"slow\"]", Some(Skipped)),
            (Syntax::Rust, "", "let x = \"#[ignore]\";", None),
            (Syntax::Python, "", "def test_a(self):", Some(Test)),
            (Syntax::Python, "", "@pytest.mark.skip(reason='x')", Some(Skipped)),
            (Syntax::Python, "", "@pytest.mark.skipif(x)", None),
            (Syntax::Python, "if not x:", "pytest.skip('no x')", None),
            (Syntax::Python, "def test_a():", "pytest.skip('later')", Some(Skipped)),
            (Syntax::Go, "", "func TestA(t *testing.T) {", Some(Test)),
            (Syntax::Go, "if testing.Short() {", "t.Skip(\"short\")", None),
            (Syntax::Go, "func TestA(t *testing.T) {", "t.Skip(\"broken\")", Some(Skipped)),
            (Syntax::JavaScript, "", "it('works', () => {", Some(Test)),
            (Syntax::JavaScript, "", "it.only('works', () => {", Some(Focused)),
            (Syntax::JavaScript, "", "fit('works', () => {", Some(Focused)),
            (Syntax::JavaScript, "", "fit(model, data)", None),
            (Syntax::JavaScript, "", "test.skip(browser === 'x', 'why')", None),
            (Syntax::TypeScript, "", "xdescribe(`a`, () => {", Some(Skipped)),
            (Syntax::Java, "", "@Test", Some(Test)),
            (Syntax::JavaScript, "", "QUnit.test('works', function(assert) {", Some(Test)),
            (
                Syntax::Java,
                "public class ATest extends TestCase {",
                "public void testA() {",
                Some(Test),
            ),
            (Syntax::Java, "@Test", "public void testA() {", None),
            (Syntax::Java, "@Override", "public void tested() {", None),
            (Syntax::Java, "", "@TestFactory", None),
            (Syntax::Java, "", "@Disabled(\"x\")", Some(Skipped)),
            (Syntax::CSharp, "", "[Fact(Skip = \"x\")]", Some(Skipped)),
            (Syntax::CSharp, "", "[Fact]", Some(Test)),
            (Syntax::Ruby, "", "xit 'works' do", Some(Skipped)),
            (Syntax::Ruby, "", "items.each do", None),
            (Syntax::Php, "", "public function testIt(): void", Some(Test)),
            (Syntax::Cpp, "", "TEST_F(A, B) {", Some(Test)),
            (Syntax::Cpp, "", "TEST_CASE_TEMPLATE(\"x\", T, int)", Some(Test)),
            (Syntax::Cpp, "", "TEST_CASE_TEMPLATE_INVOKE(x, int);", None),
        ] {
            assert_eq!(marker(syntax, line, before), expected, "{line}");
        }
    }
}
