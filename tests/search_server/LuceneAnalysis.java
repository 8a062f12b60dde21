package nightscribe;

import static java.util.Map.entry;

import java.io.IOException;
import java.io.Reader;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.TokenFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.ar.ArabicStemFilter;
import org.apache.lucene.analysis.charfilter.HTMLStripCharFilter;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.core.UpperCaseFilter;
import org.apache.lucene.analysis.core.WhitespaceTokenizer;
import org.apache.lucene.analysis.de.GermanLightStemFilter;
import org.apache.lucene.analysis.el.GreekLowerCaseFilter;
import org.apache.lucene.analysis.en.EnglishMinimalStemFilter;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.KStemFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.es.SpanishLightStemFilter;
import org.apache.lucene.analysis.fa.PersianStemFilter;
import org.apache.lucene.analysis.fr.FrenchAnalyzer;
import org.apache.lucene.analysis.fr.FrenchLightStemFilter;
import org.apache.lucene.analysis.ga.IrishLowerCaseFilter;
import org.apache.lucene.analysis.it.ItalianLightStemFilter;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.miscellaneous.TrimFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.pattern.PatternReplaceCharFilter;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.apache.lucene.analysis.pt.PortugueseLightStemFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tr.TurkishLowerCaseFilter;
import org.apache.lucene.analysis.util.ElisionFilter;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;
import org.tartarus.snowball.SnowballStemmer;
import org.tartarus.snowball.ext.DanishStemmer;
import org.tartarus.snowball.ext.DutchStemmer;
import org.tartarus.snowball.ext.EnglishStemmer;
import org.tartarus.snowball.ext.FinnishStemmer;
import org.tartarus.snowball.ext.FrenchStemmer;
import org.tartarus.snowball.ext.GermanStemmer;
import org.tartarus.snowball.ext.HungarianStemmer;
import org.tartarus.snowball.ext.ItalianStemmer;
import org.tartarus.snowball.ext.NorwegianStemmer;
import org.tartarus.snowball.ext.PortugueseStemmer;
import org.tartarus.snowball.ext.RomanianStemmer;
import org.tartarus.snowball.ext.RussianStemmer;
import org.tartarus.snowball.ext.SpanishStemmer;
import org.tartarus.snowball.ext.SwedishStemmer;
import org.tartarus.snowball.ext.TurkishStemmer;

/**
 * Lucene's filters and tokenizers under the names and with the parameters that Elasticsearch documents for them. A full
 * server has them from its module analysis-common, of which there is no artifact.
 */
public final class LuceneAnalysis extends Plugin implements AnalysisPlugin {
    /** What the filter {@code stemmer} knows as {@code language}. */
    private static final Map<String, UnaryOperator<TokenStream>> STEMMERS = Map.ofEntries(
        entry("arabic", ArabicStemFilter::new),
        entry("danish", snowball(DanishStemmer::new)),
        entry("dutch", snowball(DutchStemmer::new)),
        entry("english", PorterStemFilter::new),
        entry("finnish", snowball(FinnishStemmer::new)),
        entry("french", snowball(FrenchStemmer::new)),
        entry("german", snowball(GermanStemmer::new)),
        entry("hungarian", snowball(HungarianStemmer::new)),
        entry("italian", snowball(ItalianStemmer::new)),
        entry("light_english", KStemFilter::new),
        entry("light_french", FrenchLightStemFilter::new),
        entry("light_german", GermanLightStemFilter::new),
        entry("light_italian", ItalianLightStemFilter::new),
        entry("light_portuguese", PortugueseLightStemFilter::new),
        entry("light_spanish", SpanishLightStemFilter::new),
        entry("minimal_english", EnglishMinimalStemFilter::new),
        entry("norwegian", snowball(NorwegianStemmer::new)),
        entry("persian", PersianStemFilter::new),
        entry("porter", PorterStemFilter::new),
        entry("porter2", snowball(EnglishStemmer::new)),
        entry("portuguese", snowball(PortugueseStemmer::new)),
        entry("possessive_english", EnglishPossessiveFilter::new),
        entry("romanian", snowball(RomanianStemmer::new)),
        entry("russian", snowball(RussianStemmer::new)),
        entry("spanish", snowball(SpanishStemmer::new)),
        entry("swedish", snowball(SwedishStemmer::new)),
        entry("turkish", snowball(TurkishStemmer::new))
    );

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.ofEntries(
            entry("asciifolding", normalizing(LuceneAnalysis::folding, given -> ASCIIFoldingFilter::new)),
            entry("edge_ngram", filter(LuceneAnalysis::edges)),
            entry("elision", (index, environment, name, given) -> {
                var articles = Analysis.parseArticles(environment, given);
                var cut = articles == null ? FrenchAnalyzer.DEFAULT_ARTICLES : articles;
                return new Normalizing(name, in -> new ElisionFilter(in, cut), in -> new ElisionFilter(in, cut));
            }),
            entry("lowercase", normalizing(LuceneAnalysis::lowercase, LuceneAnalysis::lowercase)),
            entry("remove_duplicates", filter(given -> RemoveDuplicatesTokenFilter::new)),
            entry("stemmer", filter(LuceneAnalysis::stemmer)),
            entry("trim", normalizing(given -> TrimFilter::new, given -> TrimFilter::new)),
            entry("unique", filter(given -> {
                boolean onlyHere = given.getAsBoolean("only_on_same_position", false);
                return in -> onlyHere ? new RemoveDuplicatesTokenFilter(in) : new Unique(in);
            })),
            entry("uppercase", normalizing(given -> UpperCaseFilter::new, given -> UpperCaseFilter::new))
        );
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of(
            "keyword", tokenizer(given -> {
                int size = given.getAsInt("buffer_size", KeywordTokenizer.DEFAULT_BUFFER_SIZE);
                return () -> new KeywordTokenizer(size);
            }),
            "pattern", tokenizer(given -> {
                Pattern pattern = Regex.compile(given.get("pattern", "\\W+"), given.get("flags"));
                int group = given.getAsInt("group", -1);
                return () -> new PatternTokenizer(pattern, group);
            }),
            "whitespace", tokenizer(given -> {
                int length = given.getAsInt("max_token_length", 255);
                return () -> new WhitespaceTokenizer(Tokenizer.DEFAULT_TOKEN_ATTRIBUTE_FACTORY, length);
            })
        );
    }

    @Override
    public Map<String, AnalysisProvider<CharFilterFactory>> getCharFilters() {
        return Map.of(
            "html_strip", (index, environment, name, given) -> {
                Set<String> kept = new HashSet<>(given.getAsList("escaped_tags"));
                return new Characters(name, in -> new HTMLStripCharFilter(in, kept));
            },
            "mapping", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, given) -> {
                List<String> rules = Analysis.getWordList(environment, given, "mappings");
                if (rules == null) {
                    throw new IllegalArgumentException("mapping requires either `mappings` or `mappings_path` to be configured");
                }
                NormalizeCharMap map = map(rules);
                return new NormalizingCharacters(name, in -> new MappingCharFilter(map, in));
            }),
            "pattern_replace", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, given) -> {
                if (given.get("pattern") == null) {
                    throw new IllegalArgumentException("pattern is missing for [" + name + "] char filter of type 'pattern_replace'");
                }
                Pattern pattern = Regex.compile(given.get("pattern"), given.get("flags"));
                String by = given.get("replacement", "");
                return new NormalizingCharacters(name, in -> new PatternReplaceCharFilter(pattern, by, in));
            })
        );
    }

    private static UnaryOperator<TokenStream> folding(Settings given) {
        boolean original = given.getAsBoolean("preserve_original", false);
        return in -> new ASCIIFoldingFilter(in, original);
    }

    private static UnaryOperator<TokenStream> edges(Settings given) {
        int from = given.getAsInt("min_gram", 1);
        int to = given.getAsInt("max_gram", 2);
        boolean original = given.getAsBoolean("preserve_original", false);
        return in -> new EdgeNGramTokenFilter(in, from, to, original);
    }

    private static UnaryOperator<TokenStream> lowercase(Settings given) {
        String language = given.get("language", "");
        return switch (language.toLowerCase(Locale.ROOT)) {
            case "" -> LowerCaseFilter::new;
            case "greek" -> GreekLowerCaseFilter::new;
            case "irish" -> IrishLowerCaseFilter::new;
            case "turkish" -> TurkishLowerCaseFilter::new;
            default -> throw new IllegalArgumentException("language [" + language + "] not support for lower case");
        };
    }

    private static UnaryOperator<TokenStream> stemmer(Settings given) {
        String language = given.get("language", given.get("name", "porter"));
        var found = STEMMERS.get(language.toLowerCase(Locale.ROOT));
        if (found == null) {
            throw new IllegalArgumentException("no stemmer of the language [" + language + "] on this server for tests");
        }
        return found;
    }

    private static UnaryOperator<TokenStream> snowball(Supplier<SnowballStemmer> stemmer) {
        return in -> new SnowballFilter(in, stemmer.get());
    }

    /** The map of rules like {@code "ș => s"}; the backslash escapes of Java count on both sides. */
    private static NormalizeCharMap map(List<String> rules) {
        Map<String, String> pairs = new HashMap<>();
        for (String rule : rules) {
            int arrow = rule.lastIndexOf("=>");
            if (arrow < 0) {
                throw new IllegalArgumentException("Invalid Mapping Rule : [" + rule + "]");
            }
            String from = unescaped(rule.substring(0, arrow));
            if (pairs.put(from, unescaped(rule.substring(arrow + 2))) != null) {
                throw new IllegalArgumentException("match \"" + from + "\" was already added");
            }
        }
        NormalizeCharMap.Builder map = new NormalizeCharMap.Builder();
        pairs.forEach(map::add);
        return map.build();
    }

    private static String unescaped(String side) {
        // Java's own method knows every escape but this one.
        var units = Pattern.compile("\\\\u([0-9a-fA-F]{4})").matcher(side.strip());
        String plain = units.replaceAll(at -> Matcher.quoteReplacement("" + (char) Integer.parseInt(at.group(1), 16)));
        return plain.translateEscapes();
    }

    private static AnalysisProvider<TokenFilterFactory> filter(Function<Settings, UnaryOperator<TokenStream>> make) {
        return (index, environment, name, given) -> new Filter(name, make.apply(given));
    }

    private static AnalysisProvider<TokenFilterFactory> normalizing(
        Function<Settings, UnaryOperator<TokenStream>> make,
        Function<Settings, UnaryOperator<TokenStream>> makeForOne
    ) {
        return (index, environment, name, given) -> new Normalizing(name, make.apply(given), makeForOne.apply(given));
    }

    private static AnalysisProvider<TokenizerFactory> tokenizer(Function<Settings, Supplier<Tokenizer>> make) {
        return (index, environment, name, given) -> TokenizerFactory.newFactory(name, make.apply(given));
    }

    private record Filter(String name, UnaryOperator<TokenStream> make) implements TokenFilterFactory {
        @Override
        public TokenStream create(TokenStream in) {
            return make.apply(in);
        }
    }

    /** A filter that may also stand in the normalizer of a keyword field, where a word must stay one word. */
    private record Normalizing(String name, UnaryOperator<TokenStream> make, UnaryOperator<TokenStream> makeForOne)
        implements NormalizingTokenFilterFactory {
        @Override
        public TokenStream create(TokenStream in) {
            return make.apply(in);
        }

        @Override
        public TokenStream normalize(TokenStream in) {
            return makeForOne.apply(in);
        }
    }

    private record Characters(String name, UnaryOperator<Reader> make) implements CharFilterFactory {
        @Override
        public Reader create(Reader in) {
            return make.apply(in);
        }
    }

    private record NormalizingCharacters(String name, UnaryOperator<Reader> make) implements NormalizingCharFilterFactory {
        @Override
        public Reader create(Reader in) {
            return make.apply(in);
        }
    }

    /** Lets each word of a text through once. */
    private static final class Unique extends TokenFilter {
        private final CharTermAttribute term = addAttribute(CharTermAttribute.class);
        private final Set<String> seen = new HashSet<>();

        Unique(TokenStream in) {
            super(in);
        }

        @Override
        public boolean incrementToken() throws IOException {
            while (input.incrementToken()) {
                if (seen.add(term.toString())) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public void reset() throws IOException {
            super.reset();
            seen.clear();
        }
    }
}
