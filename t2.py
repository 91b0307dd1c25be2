import numpy as np, pandas as pd, polars as pl, sklearn, warnings
from skgru import GRUClassifier, GRURegressor
warnings.simplefilter("ignore")
warnings.filterwarnings("always", module=".*", category=UserWarning)
rng=np.random.default_rng(0)
X=rng.normal(size=(20,5,2)); y=np.arange(20)%2
for out in ("pandas","polars"):
    for XX in (X, list(X), [x[:i%4+1] for i,x in enumerate(X)], X.reshape(20,-1), pd.DataFrame(X.reshape(20,-1), index=np.arange(20)+5), pd.Series(list(X)), tuple(X)):
        m=GRUClassifier(4,max_iter=1, n_channels=2).set_output(transform=out).fit(XX,y)
        r=m.transform(XX); print(type(r), r.shape, type(m.fit_transform(XX,y)))
df=pd.DataFrame(X.reshape(20,-1), columns=list("abcdefghij"))
print("scoring on a DataFrame")
GRUClassifier(4,max_iter=2,n_channels=2,early_stopping=True,scoring="accuracy").fit(df,y)
